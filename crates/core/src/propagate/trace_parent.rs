//! `traceparent`: version, trace id, span id, flags.

use std::ops::Range;

use super::blanks::BLANKS;

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
        let fields = header.trim_start_matches(BLANKS).as_bytes();
        if fields.len() < LEN || DASHES.iter().any(|&at| fields[at] != b'-') {
            return None;
        }
        let version = number(&fields[VERSION])?;
        let trace_id = number(&fields[TRACE_ID])?;
        let span_id = number(&fields[SPAN_ID])? as u64;
        let flags = number(&fields[FLAGS])? as u8;
        let more = has_more(&fields[LEN..])?;
        let is_valid = trace_id != 0 && span_id != 0 && version != 0xff && !(version == 0 && more);
        is_valid.then_some(Self { trace_id, span_id, flags })
    }

    pub fn write(&self) -> [u8; LEN] {
        let mut header = [b'-'; LEN];
        hex(&mut header[VERSION], 0);
        hex(&mut header[TRACE_ID], self.trace_id);
        hex(&mut header[SPAN_ID], self.span_id.into());
        hex(&mut header[FLAGS], self.flags.into());
        header
    }
}

/// Whether there are fields of a later version; None if it is neither those nor blanks. One line feed may end it.
fn has_more(rest: &[u8]) -> Option<bool> {
    let rest = rest.strip_suffix(b"\n").unwrap_or(rest);
    match rest.first() {
        Some(b'-') => (!rest.contains(&b'\n')).then_some(true),
        _ => rest.iter().all(|byte| matches!(byte, b' ' | b'\t')).then_some(false),
    }
}

/// Digits in lower case alone.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

fn hex(digits: &mut [u8], mut number: u128) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
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
