//! Ruby's Time#strftime.

use super::civil::Civil;
use super::zone::Zone;
use crate::event::EventTime;
use std::io::Write;

/// Widths beyond this are cut down to it; a path or a field that long is a mistake.
const WIDTH_MAX: usize = 1024;
pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A format of Time#strftime, compiled: `%[-0^#_:]*[width]X`. What is no directive stays as it is.
#[derive(Clone, Debug)]
pub struct TimeFormat {
    items: Vec<Item>,
}

#[derive(Clone, Debug)]
enum Item {
    Text(Box<[u8]>),
    Field {
        letter: u8,
        style: Style,
    },
    /// A directive that stands for several (`%F`), with flags of its own.
    Group {
        items: Vec<Item>,
        style: Style,
    },
}

/// Flags and width of a directive.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Style {
    pad: Pad,
    width: Option<usize>,
    upper: bool,
    swap_case: bool,
    colons: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Pad {
    #[default]
    Default,
    None,
    Zero,
    Blank,
}

impl TimeFormat {
    /// Compiles a format. There are no errors: Ruby keeps what it does not know.
    pub fn new(format: &str) -> Self {
        Self { items: compile(format.as_bytes()) }
    }

    /// Appends `time` as seen in `zone`.
    pub fn format(&self, time: EventTime, zone: &Zone, out: &mut Vec<u8>) {
        let offset = zone.offset_at(time.sec);
        let moment = Moment {
            civil: Civil::from_seconds(time.sec.saturating_add(i64::from(offset))),
            time,
            offset,
            abbreviation: zone.abbreviation_at(time.sec),
            is_utc: zone.is_utc(),
        };
        write_items(&self.items, &moment, out);
    }

    /// `time` as seen in `zone`.
    pub fn format_to_string(&self, time: EventTime, zone: &Zone) -> String {
        let mut out = Vec::new();
        self.format(time, zone, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Whether it has a directive among `letters`, plain or inside of another (`%T` has `S`).
    pub fn has(&self, letters: &str) -> bool {
        fn any(items: &[Item], letters: &str) -> bool {
            items.iter().any(|item| match item {
                Item::Text(_) => false,
                Item::Field { letter, .. } => letters.as_bytes().contains(letter),
                Item::Group { items, .. } => any(items, letters),
            })
        }
        any(&self.items, letters)
    }
}

fn compile(format: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut text = Vec::new();
    let mut at = 0;
    while at < format.len() {
        if format[at] == b'%'
            && let Some((compiled, end)) = directive(format, at)
        {
            match compiled {
                Item::Text(literal) => text.extend_from_slice(&literal),
                // Without flags a group is nothing but its parts.
                Item::Group { items: parts, style } if style == Style::default() => {
                    flush(&mut text, &mut items);
                    items.extend(parts);
                }
                item => {
                    flush(&mut text, &mut items);
                    items.push(item);
                }
            }
            at = end;
        } else {
            text.push(format[at]);
            at += 1;
        }
    }
    flush(&mut text, &mut items);
    items
}

fn flush(text: &mut Vec<u8>, items: &mut Vec<Item>) {
    if !text.is_empty() {
        items.push(Item::Text(std::mem::take(text).into()));
    }
}

/// Reads the directive that begins at the `%` at `start`; answers where it ends.
fn directive(format: &[u8], start: usize) -> Option<(Item, usize)> {
    let mut style = Style::default();
    let mut at = start + 1;
    loop {
        match *format.get(at)? {
            b'-' => style.pad = Pad::None,
            b'_' => style.pad = Pad::Blank,
            b'0' => style.pad = Pad::Zero,
            b'^' => style.upper = true,
            b'#' => style.swap_case = true,
            b':' => {
                let colons = format[at..].iter().take_while(|&&byte| byte == b':').count();
                if colons > 3 || format.get(at + colons) != Some(&b'z') {
                    return None;
                }
                style.colons = colons as u8;
                at += colons - 1;
            }
            b'1'..=b'9' => {
                let digits = format[at..].iter().take_while(|byte| byte.is_ascii_digit());
                let (count, width) = digits.fold((0, 0usize), |(count, width), digit| {
                    (count + 1, width.saturating_mul(10).saturating_add(usize::from(digit - b'0')))
                });
                style.width = Some(width.min(WIDTH_MAX));
                at += count - 1;
            }
            // Alternative forms: Ruby knows them and ignores them.
            b'E' if format.get(at + 1).is_some_and(|next| b"cCxXyY".contains(next)) => {}
            b'O' if format.get(at + 1).is_some_and(|next| b"deHkIlmMSuUVwWy".contains(next)) => {}
            letter => return Some((item(letter, style)?, at + 1)),
        }
        at += 1;
    }
}

fn item(letter: u8, style: Style) -> Option<Item> {
    let parts = match letter {
        b'c' => "%a %b %e %H:%M:%S %Y",
        b'D' | b'x' => "%m/%d/%y",
        b'F' => "%Y-%m-%d",
        b'R' => "%H:%M",
        b'r' => "%I:%M:%S %p",
        b'T' | b'X' => "%H:%M:%S",
        b'v' => "%e-%^b-%4Y",
        _ => "",
    };
    if !parts.is_empty() {
        return Some(Item::Group { items: compile(parts.as_bytes()), style });
    }
    let literal: &[u8] = match letter {
        b'%' => b"%",
        b'n' => b"\n",
        b't' => b"\t",
        letter if b"AaBbCdeGgHhIjkLlMmNPpSsUuVWwYyZz".contains(&letter) => {
            return Some(Item::Field { letter, style });
        }
        _ => return None,
    };
    match style.width {
        Some(_) if style.pad != Pad::None => {
            Some(Item::Group { items: vec![Item::Text(literal.into())], style })
        }
        _ => Some(Item::Text(literal.into())),
    }
}

/// An instant, taken apart.
struct Moment<'z> {
    civil: Civil,
    time: EventTime,
    offset: i32,
    abbreviation: &'z str,
    is_utc: bool,
}

fn write_items(items: &[Item], moment: &Moment<'_>, out: &mut Vec<u8>) {
    for item in items {
        match item {
            Item::Text(text) => out.extend_from_slice(text),
            Item::Field { letter, style } => write_field(*letter, *style, moment, out),
            Item::Group { items, style } => {
                let start = out.len();
                write_items(items, moment, out);
                if style.upper {
                    out[start..].make_ascii_uppercase();
                }
                pad_left(start, *style, out);
            }
        }
    }
}

fn write_field(letter: u8, style: Style, moment: &Moment<'_>, out: &mut Vec<u8>) {
    let civil = &moment.civil;
    let hour12 = (civil.hour + 11) % 12 + 1;
    let (value, width, blank) = match letter {
        b'Y' => (civil.year, if civil.year < 0 { 5 } else { 4 }, false),
        b'C' => (civil.year.div_euclid(100), 2, false),
        b'y' => (civil.year.rem_euclid(100), 2, false),
        b'm' => (i64::from(civil.month), 2, false),
        b'd' => (i64::from(civil.day), 2, false),
        b'e' => (i64::from(civil.day), 2, true),
        b'j' => (i64::from(civil.day_of_year()), 3, false),
        b'H' => (i64::from(civil.hour), 2, false),
        b'k' => (i64::from(civil.hour), 2, true),
        b'I' => (i64::from(hour12), 2, false),
        b'l' => (i64::from(hour12), 2, true),
        b'M' => (i64::from(civil.minute), 2, false),
        b'S' => (i64::from(civil.second), 2, false),
        b's' => (moment.time.sec, 1, false),
        b'u' => (i64::from((civil.weekday() + 6) % 7 + 1), 1, false),
        b'w' => (i64::from(civil.weekday()), 1, false),
        b'G' => {
            let year = civil.iso_week().0;
            (year, if year < 0 { 5 } else { 4 }, false)
        }
        b'g' => (civil.iso_week().0.rem_euclid(100), 2, false),
        b'V' => (i64::from(civil.iso_week().1), 2, false),
        b'U' => (i64::from((civil.day_of_year() + 6 - civil.weekday()) / 7), 2, false),
        b'W' => (i64::from((civil.day_of_year() + 6 - (civil.weekday() + 6) % 7) / 7), 2, false),
        b'L' | b'N' => {
            let digits = style.width.unwrap_or(if letter == b'L' { 3 } else { 9 });
            return write_fraction(moment.time.nsec, digits, out);
        }
        b'z' => return write_offset(moment, style, out),
        _ => return write_name(letter, style, moment, out),
    };
    write_number(value, width, blank, style, out);
}

fn write_number(value: i64, width: usize, blank: bool, style: Style, out: &mut Vec<u8>) {
    let pad = match style.pad {
        Pad::Default if blank => Pad::Blank,
        pad => pad,
    };
    let width = if pad == Pad::None { 0 } else { style.width.unwrap_or(width) };
    // The common case: two digits.
    if (0..100).contains(&value) && width == 2 {
        let tens = (value / 10) as u8;
        out.push(if tens == 0 && pad == Pad::Blank { b' ' } else { b'0' + tens });
        out.push(b'0' + (value % 10) as u8);
        return;
    }
    let _ = match pad {
        Pad::Blank => write!(out, "{value:>width$}"),
        _ => write!(out, "{value:0width$}"),
    };
}

fn write_fraction(nsec: u32, digits: usize, out: &mut Vec<u8>) {
    let mut all = [b'0'; 9];
    let mut rest = nsec;
    for digit in all.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&all[..digits.min(9)]);
    out.resize(out.len() + digits.saturating_sub(9), b'0');
}

fn write_name(letter: u8, style: Style, moment: &Moment<'_>, out: &mut Vec<u8>) {
    let day = DAYS[moment.civil.weekday() as usize % 7];
    let month = MONTHS[(moment.civil.month as usize + 11) % 12];
    let half = if moment.civil.hour < 12 { "AM" } else { "PM" };
    let name = match letter {
        b'A' => day,
        b'a' => &day[..3],
        b'B' => month,
        b'b' | b'h' => &month[..3],
        b'P' | b'p' => half,
        _ => moment.abbreviation,
    };
    let start = out.len();
    out.extend_from_slice(name.as_bytes());
    let flagged = style.upper || style.swap_case;
    if (style.swap_case && matches!(letter, b'p' | b'Z')) || (letter == b'P' && !flagged) {
        out[start..].make_ascii_lowercase();
    } else if flagged {
        out[start..].make_ascii_uppercase();
    }
    if !name.is_empty() && style.pad != Pad::None {
        pad_left(start, style, out);
    }
}

fn pad_left(start: usize, style: Style, out: &mut Vec<u8>) {
    let missing = style.width.unwrap_or(0).saturating_sub(out.len() - start);
    if missing > 0 {
        let fill = if style.pad == Pad::Zero { b'0' } else { b' ' };
        out.splice(start..start, std::iter::repeat_n(fill, missing));
    }
}

/// `+hhmm`, `+hh:mm`, `+hh:mm:ss`, or as short as possible (`:::`). A width is filled with zeros behind the sign, or with
/// blanks before it. With the flag `-`, UTC is `-0000`.
fn write_offset(moment: &Moment<'_>, style: Style, out: &mut Vec<u8>) {
    let negative = moment.offset < 0 || (style.pad == Pad::None && moment.is_utc);
    let sign = if negative { '-' } else { '+' };
    let all = moment.offset.unsigned_abs();
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    let tail = match (style.colons, minutes, seconds) {
        (0, ..) => format!("{minutes:02}"),
        (1, ..) => format!(":{minutes:02}"),
        (3, 0, 0) => String::new(),
        (3, _, 0) => format!(":{minutes:02}"),
        _ => format!(":{minutes:02}:{seconds:02}"),
    };
    let width = style.width.unwrap_or(0).saturating_sub(tail.len()).max(3);
    let _ = match style.pad {
        Pad::Blank => write!(out, "{:>width$}{tail}", format!("{sign}{hours}")),
        _ => write!(out, "{sign}{hours:0digits$}{tail}", digits = width - 1),
    };
}

#[cfg(test)]
mod tests;
