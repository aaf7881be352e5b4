//! The log file with rotation, as Ruby's Logger does it: by size into `log.0`, `log.1`, ..., or by age into
//! `log.20231114`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// When the log file is rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// When it has `bytes`; `keep` older files are kept.
    Size {
        /// Size at which a new file is begun.
        bytes: u64,
        /// How many older files are kept.
        keep: u32,
    },
    /// When a day, week or month is over; older files are kept for ever.
    Period(Period),
}

/// A period of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Period {
    Daily,
    Weekly,
    Monthly,
}

/// Ruby's default `shift_size`.
const SIZE_DEFAULT_BYTES: u64 = 1_048_576;
/// Files kept when only a size is given.
const KEEP_DEFAULT: u32 = 5;

impl Rotation {
    /// From `rotate_age` (a count, `daily`, `weekly`, `monthly`) and `rotate_size`; neither means no rotation.
    pub fn from_settings(age: Option<&str>, size: Option<u64>) -> Option<Self> {
        match age {
            Some("daily") => Some(Self::Period(Period::Daily)),
            Some("weekly") => Some(Self::Period(Period::Weekly)),
            Some("monthly") => Some(Self::Period(Period::Monthly)),
            None if size.is_none() => None,
            age => {
                let keep = age.and_then(|text| text.parse().ok()).unwrap_or(KEEP_DEFAULT);
                Some(Self::Size { bytes: size.unwrap_or(SIZE_DEFAULT_BYTES), keep })
            }
        }
    }
}

/// An open log file.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    rotation: Option<Rotation>,
    /// First day of the period that the file belongs to.
    period_start: jiff::civil::Date,
}

impl LogFile {
    pub(super) fn open(path: &Path, rotation: Option<Rotation>) -> io::Result<Self> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let meta = file.metadata()?;
        let written = meta.modified().ok().and_then(|time| jiff::Timestamp::try_from(time).ok());
        let date = match written {
            Some(time) if meta.len() > 0 => time.to_zoned(jiff::tz::TimeZone::system()).date(),
            _ => jiff::Zoned::now().date(),
        };
        let period_start = match &rotation {
            Some(Rotation::Period(period)) => first_day(*period, date),
            _ => date,
        };
        Ok(Self { path: path.to_owned(), file, size: meta.len(), rotation, period_start })
    }

    pub(super) fn write(&mut self, line: &[u8], today: jiff::civil::Date) -> io::Result<()> {
        let due = match &self.rotation {
            Some(Rotation::Size { bytes, .. }) => self.size > 0 && self.size + line.len() as u64 > *bytes,
            Some(Rotation::Period(period)) => first_day(*period, today) > self.period_start,
            None => false,
        };
        if due {
            self.rotate()?;
        }
        self.size += line.len() as u64;
        self.file.write_all(line)
    }

    fn rotate(&mut self) -> io::Result<()> {
        match self.rotation.clone() {
            Some(Rotation::Size { keep, .. }) if keep > 0 => {
                for n in (0..keep.saturating_sub(1)).rev() {
                    let (from, to) = (self.numbered(n), self.numbered(n + 1));
                    if from.exists() {
                        fs::rename(from, to)?;
                    }
                }
                fs::rename(&self.path, self.numbered(0))?;
            }
            Some(Rotation::Size { .. }) => fs::remove_file(&self.path)?,
            Some(Rotation::Period(_)) => {
                let day = self.period_start.strftime("%Y%m%d").to_string();
                fs::rename(&self.path, self.with_suffix(&day))?;
            }
            None => {}
        }
        *self = Self::open(&self.path, self.rotation.clone())?;
        Ok(())
    }

    fn numbered(&self, n: u32) -> PathBuf {
        self.with_suffix(&n.to_string())
    }

    fn with_suffix(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(suffix);
        name.into()
    }
}

fn first_day(period: Period, date: jiff::civil::Date) -> jiff::civil::Date {
    match period {
        Period::Daily => date,
        Period::Weekly => {
            let days = i64::from(date.weekday().to_sunday_zero_offset());
            date.checked_sub(jiff::Span::new().days(days)).unwrap_or(date)
        }
        Period::Monthly => date.first_of_month(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn by_size_the_oldest_files_fall_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x/log");
        let rotation = Rotation::from_settings(Some("3"), Some(10));
        let mut log = LogFile::open(&path, rotation).unwrap();
        for n in 0..6 {
            log.write(format!("line {n}\n").as_bytes(), jiff::civil::date(2024, 1, 1)).unwrap();
        }
        assert_eq!(names(&dir.path().join("x")), ["log", "log.0", "log.1", "log.2"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "line 5\n");
        assert_eq!(fs::read_to_string(dir.path().join("x/log.2")).unwrap(), "line 2\n");
    }

    #[test]
    fn by_period_the_file_gets_its_first_day_as_suffix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::open(&path, Rotation::from_settings(Some("monthly"), None)).unwrap();
        log.period_start = jiff::civil::date(2024, 1, 1);
        log.write(b"january\n", jiff::civil::date(2024, 1, 31)).unwrap();
        log.write(b"february\n", jiff::civil::date(2024, 2, 1)).unwrap();
        assert_eq!(names(dir.path()), ["log", "log.20240101"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "february\n");
    }

    #[test]
    fn weeks_begin_on_sunday() {
        assert_eq!(first_day(Period::Weekly, jiff::civil::date(2024, 1, 3)), jiff::civil::date(2023, 12, 31));
    }
}
