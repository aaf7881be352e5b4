//! Floats as Ruby prints them.

use std::io::Write;

/// Appends what Ruby's `Float#to_s` gives: the fewest digits that read back as the same number; a point always; an
/// exponent from 1.0e+15 up (unless there is a fraction) and below 0.0001.
pub fn write_ruby_float(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value.is_infinite() {
        return out.extend_from_slice(b"Infinity");
    }
    let mut buffer = Buffer { bytes: [0; 32], length: 0 };
    // `{:e}` gives the shortest digits: `1.2345e-7`. It always fits the buffer.
    let _ = write!(buffer, "{:e}", value.abs());
    let scientific = &buffer.bytes[..buffer.length];
    let mut digits = [b'0'; 20];
    let mut count = 0;
    let mut exponent = 0i32;
    for (at, &byte) in scientific.iter().enumerate() {
        match byte {
            b'.' => {}
            b'e' => {
                exponent = std::str::from_utf8(&scientific[at + 1..])
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0);
                break;
            }
            _ => {
                digits[count] = byte;
                count += 1;
            }
        }
    }
    write_digits(out, &digits[..count], exponent + 1);
}

/// Appends `0.DIGITS * 10^point`.
fn write_digits(out: &mut Vec<u8>, digits: &[u8], point: i32) {
    let whole = usize::try_from(point).unwrap_or(0);
    if whole > 0 && whole < digits.len() {
        out.extend_from_slice(&digits[..whole]);
        out.push(b'.');
        out.extend_from_slice(&digits[whole..]);
    } else if whole > 0 && whole <= 15 {
        out.extend_from_slice(digits);
        out.extend(std::iter::repeat_n(b'0', whole - digits.len()));
        out.extend_from_slice(b".0");
    } else if point <= 0 && point > -4 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', point.unsigned_abs() as usize));
        out.extend_from_slice(digits);
    } else {
        out.push(digits[0]);
        out.push(b'.');
        out.extend_from_slice(if digits.len() > 1 { &digits[1..] } else { b"0" });
        let exponent = point - 1;
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        // Writing to a Vec does not fail.
        let _ = write!(out, "{:02}", exponent.unsigned_abs());
    }
}

/// Appends what Oj gives: as Ruby, but whole numbers within 64 bits never have an exponent, and there is no -0.0.
pub(super) fn write_oj_float(out: &mut Vec<u8>, value: f64) {
    let whole = value == value.trunc() && value.abs() <= 9_223_372_036_854_775_808.0;
    if value == 0.0 {
        out.extend_from_slice(b"0.0");
    } else if whole && value != 9_223_372_036_854_775_808.0 {
        let _ = write!(out, "{value:.1}");
    } else {
        write_ruby_float(out, value);
    }
}

struct Buffer {
    bytes: [u8; 32],
    length: usize,
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = bytes.len().min(self.bytes.len() - self.length);
        self.bytes[self.length..self.length + taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruby(value: f64) -> String {
        let mut out = Vec::new();
        write_ruby_float(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    fn oj(value: f64) -> String {
        let mut out = Vec::new();
        write_oj_float(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    /// As printed by Ruby 3.1.
    #[test]
    fn as_ruby() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1e-7, "1.0e-07"),
            (1e-5, "1.0e-05"),
            (1e-4, "0.0001"),
            (0.00012345, "0.00012345"),
            (0.001, "0.001"),
            (100.0, "100.0"),
            (1e14, "100000000000000.0"),
            (1e15, "1.0e+15"),
            (1.5e15, "1.5e+15"),
            (999999999999999.9, "999999999999999.9"),
            (1234567890123456.0, "1.234567890123456e+15"),
            (1234567890123456.8, "1234567890123456.8"),
            (9007199254740992.0, "9.007199254740992e+15"),
            (1e16, "1.0e+16"),
            (12345678901234568.0, "1.2345678901234568e+16"),
            (1e22, "1.0e+22"),
            (1e100, "1.0e+100"),
            (2.5e-300, "2.5e-300"),
            (5e-324, "5.0e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (123456789.12345679, "123456789.12345679"),
            (-1e15, "-1.0e+15"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(ruby(value), text);
        }
    }

    /// As written by Oj 3.14.
    #[test]
    fn as_oj() {
        for (value, text) in [
            (-0.0, "0.0"),
            (1e15, "1000000000000000.0"),
            (1e17, "100000000000000000.0"),
            (9.2e18, "9200000000000000000.0"),
            (1e20, "1.0e+20"),
            (1e22, "1.0e+22"),
            (1e-7, "1.0e-07"),
            (12345678901234568.0, "12345678901234568.0"),
            (0.1, "0.1"),
        ] {
            assert_eq!(oj(value), text);
        }
    }
}
