//! `traceparent`: version, trace id, span id, flags.

use std::ops::Range;

use super::cut::{is_blank, without_blanks_before};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    pub trace_id: u128,
    pub span_id: u64,
    pub flags: u8,
}

const VERSION: Range<usize> = 0..2;
const TRACE_ID: Range<usize> = 3..35;
const SPAN_ID: Range<usize> = 36..52;
const FLAGS: Range<usize> = 53..55;
const DASHES: [usize; 3] = [2, 35, 52];
/// Of version 00. A later one may have more after it.
pub const LEN: usize = 55;

impl TraceParent {
    /// None if it is not valid, of which nobody is told.
    pub fn read(header: &str) -> Option<Self> {
        let fields = without_blanks_before(header).as_bytes();
        if fields.len() < LEN || DASHES.iter().any(|&at| fields[at] != b'-') {
            return None;
        }
        let version = number(&fields[VERSION])?;
        let (high, low) = fields[TRACE_ID].split_at(16);
        let trace_id = u128::from(number(high)?) << 64 | u128::from(number(low)?);
        let span_id = number(&fields[SPAN_ID])?;
        let flags = number(&fields[FLAGS])? as u8;
        let more = has_more(&fields[LEN..])?;
        let is_valid = trace_id != 0 && span_id != 0 && version != 0xff && !(version == 0 && more);
        is_valid.then_some(Self { trace_id, span_id, flags })
    }

    pub fn write(&self) -> [u8; LEN] {
        let mut header = [b'-'; LEN];
        hex(&mut header[VERSION], &[0]);
        hex(&mut header[TRACE_ID], &self.trace_id.to_be_bytes());
        hex(&mut header[SPAN_ID], &self.span_id.to_be_bytes());
        hex(&mut header[FLAGS], &[self.flags]);
        header
    }
}

/// Whether there are fields of a later version; None if it is neither those nor blanks. One line feed may end it.
fn has_more(rest: &[u8]) -> Option<bool> {
    let rest = rest.strip_suffix(b"\n").unwrap_or(rest);
    match rest.first() {
        Some(b'-') => (!rest.contains(&b'\n')).then_some(true),
        _ => rest.iter().all(|byte| is_blank(*byte)).then_some(false),
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The values of digits in lower case; of other bytes one that is too large.
const VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Of at most 16 digits.
#[inline]
fn number(digits: &[u8]) -> Option<u64> {
    let (mut number, mut all) = (0, 0);
    for digit in digits {
        let value = VALUES[usize::from(*digit)];
        all |= value;
        number = number << 4 | u64::from(value & 0xf);
    }
    (all <= 0xf).then_some(number)
}

#[inline]
fn hex(digits: &mut [u8], bytes: &[u8]) {
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const READ: TraceParent =
        TraceParent { trace_id: 0x0af7651916cd43dd8448eb211c80319c, span_id: 0xb7ad6b7169203331, flags: 1 };

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(READ.write(), VALID.as_bytes());
        assert_eq!(TraceParent::read(VALID), Some(READ));
    }

    #[test]
    fn blanks_around_it_and_one_line_feed_do_no_harm() {
        for header in [format!(" \t{VALID}\t "), format!("{VALID}\n"), format!("{VALID} \n")] {
            assert_eq!(TraceParent::read(&header), Some(READ), "{header:?}");
        }
        for header in [format!("\n{VALID}"), format!("{VALID}\n\n"), format!("{VALID}\n ")] {
            assert_eq!(TraceParent::read(&header), None, "{header:?}");
        }
    }

    #[test]
    fn a_later_version_may_have_more() {
        let later = VALID.replacen("00", "cc", 1);
        for more in ["", "-", "-what the future is like", "- \u{1f600} ", "-x\n"] {
            assert_eq!(TraceParent::read(&format!("{later}{more}")), Some(READ), "{more:?}");
        }
        for more in [".what", "x", "-a\nb", "-a\n\n"] {
            assert_eq!(TraceParent::read(&format!("{later}{more}")), None, "{more:?}");
        }
        assert_eq!(TraceParent::read(&format!("{VALID}-x")), None);
        assert_eq!(TraceParent::read(&format!("{VALID}-")), None);
    }

    #[test]
    fn what_w3c_calls_invalid_is() {
        let invalid = [
            "".to_owned(),
            VALID[..LEN - 1].to_owned(),
            VALID.to_uppercase(),
            VALID.replacen("00", "ff", 1),
            VALID.replacen("00", ".0", 1),
            VALID.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            VALID.replace("b7ad6b7169203331", &"0".repeat(16)),
            VALID.replacen('-', "_", 1),
            VALID.replace("-01", "-.1"),
            VALID.replace("-01", "-\u{e9}"),
        ];
        for header in invalid {
            assert_eq!(TraceParent::read(&header), None, "{header:?}");
        }
    }
}
