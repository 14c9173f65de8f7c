//! `traceparent`: version, trace id, span id, flags.

use std::ops::Range;

use super::cut::{is_blank, without_blanks_before};
use super::hex;

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
        let trace_id = number(&fields[TRACE_ID])?;
        let span_id = number(&fields[SPAN_ID])? as u64;
        let [version, flags] = [VERSION, FLAGS].map(|field| [fields[field.start], fields[field.start + 1]]);
        let [version, flags] = octets(version, flags)?;
        let more = has_more(&fields[LEN..])?;
        let is_valid = trace_id != 0 && span_id != 0 && version != 0xff && !(version == 0 && more);
        is_valid.then_some(Self { trace_id, span_id, flags })
    }

    pub fn write(&self) -> [u8; LEN] {
        let mut header = [b'-'; LEN];
        header[VERSION].copy_from_slice(b"00");
        write(&mut header[TRACE_ID], self.trace_id);
        write(&mut header[SPAN_ID], self.span_id.into());
        header[FLAGS].copy_from_slice(&hex::digits(self.flags.into())[6..]);
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

/// Of fields whose length is a multiple of eight digits.
#[inline]
fn number(digits: &[u8]) -> Option<u128> {
    let (words, _) = digits.as_chunks::<8>();
    words.iter().try_fold(0, |number, word| Some(number << 32 | u128::from(hex::number(*word)?)))
}

/// Of two digits each.
#[inline]
fn octets([a, b]: [u8; 2], [c, d]: [u8; 2]) -> Option<[u8; 2]> {
    let number = hex::number([b'0', b'0', b'0', b'0', a, b, c, d])?;
    Some([(number >> 8) as u8, number as u8])
}

/// The last digits of the number, as many as there is space for.
#[inline]
fn write(digits: &mut [u8], number: u128) {
    let (words, _) = digits.as_chunks_mut::<8>();
    for (word, place) in words.iter_mut().rev().zip(0..) {
        *word = hex::digits((number >> (32 * place)) as u32);
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
