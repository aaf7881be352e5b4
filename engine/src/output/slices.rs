//! Time slices: which chunk a time belongs to when `time` is a chunk key.

use crate::time::Zone;

/// Offsets from UTC change only at multiples of this many seconds.
const OFFSET_CHANGE_SECS: i64 = 900;

/// `timekey` in its time zone.
#[derive(Clone, Debug)]
pub struct TimeSlices {
    /// Length of a slice, seconds; greater than 0.
    pub unit: f64,
    /// `timekey_zone`, or UTC.
    pub zone: Zone,
}

/// Finds the slice of one time after the other; most are in the slice of the one before.
#[derive(Debug)]
pub struct SliceFinder<'a> {
    slices: &'a TimeSlices,
    valid: std::ops::Range<i64>,
    timekey: i64,
}

impl TimeSlices {
    /// The begin of the slice that `sec` is in: `t - ((t + zone offset) mod timekey)`.
    pub fn timekey(&self, sec: i64) -> i64 {
        let local = (sec + i64::from(self.zone.offset_at(sec))) as f64;
        (sec as f64 - local.rem_euclid(self.unit)).floor() as i64
    }

    /// For a run of times.
    pub fn finder(&self) -> SliceFinder<'_> {
        SliceFinder { slices: self, valid: 0..0, timekey: 0 }
    }

    /// Whether the slice that begins at `timekey` is over for `wait` seconds at `now`, and not the current one.
    pub fn is_due(&self, timekey: i64, wait: f64, now: i64) -> bool {
        let current = now as f64 - (now as f64).rem_euclid(self.unit);
        (timekey as f64) < current && timekey as f64 + self.unit + wait <= now as f64
    }
}

impl SliceFinder<'_> {
    /// The slice of `sec`.
    #[inline]
    pub fn timekey(&mut self, sec: i64) -> i64 {
        if !self.valid.contains(&sec) {
            self.timekey = self.slices.timekey(sec);
            // The answer holds until the slice ends or the zone's offset may change.
            let quarter = sec - sec.rem_euclid(OFFSET_CHANGE_SECS);
            let end = (self.timekey as f64 + self.slices.unit).floor() as i64;
            self.valid = self.timekey.max(quarter)..end.min(quarter + OFFSET_CHANGE_SECS);
        }
        self.timekey
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(unit: f64, zone: &str) -> TimeSlices {
        TimeSlices { unit, zone: Zone::parse(zone).unwrap() }
    }

    /// 2024-01-02T03:04:05Z
    const TIME: i64 = 1_704_164_645;

    #[test]
    fn slices_begin_at_full_units_of_the_zone() {
        assert_eq!(slices(3600.0, "+0000").timekey(TIME), 1_704_164_400);
        assert_eq!(slices(86400.0, "+0000").timekey(TIME), 1_704_153_600);
        assert_eq!(slices(86400.0, "-05:00").timekey(TIME), 1_704_085_200);
        assert_eq!(slices(86400.0, "America/New_York").timekey(TIME), 1_704_085_200);
        assert_eq!(slices(3600.0, "Asia/Kolkata").timekey(TIME), 1_704_162_600);
        assert_eq!(slices(0.5, "+0000").timekey(TIME), TIME);
        assert_eq!(slices(60.0, "+0000").timekey(-1), -60);
    }

    #[test]
    fn the_finder_agrees_with_the_formula_across_daylight_saving() {
        // 2024-03-31 01:00Z, when Berlin goes from +1 to +2.
        for unit in [0.5, 7.0, 60.0, 3600.0, 86400.0, 1e6] {
            let slices = slices(unit, "Europe/Berlin");
            let mut finder = slices.finder();
            for step in -300..300 {
                let sec = 1_711_846_800 + step * 61;
                assert_eq!(finder.timekey(sec), slices.timekey(sec), "unit {unit} step {step}");
            }
        }
    }

    #[test]
    fn a_slice_is_due_after_its_end_and_the_wait() {
        let slices = slices(60.0, "+0000");
        assert!(!slices.is_due(600, 10.0, 669));
        assert!(slices.is_due(600, 10.0, 670));
        assert!(!slices.is_due(600, 0.0, 659));
        assert!(slices.is_due(600, 0.0, 660));
    }
}
