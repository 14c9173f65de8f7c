//! Numbers as hexadecimal digits in lower case, eight at a time: the bytes of one machine word.

const ONES: u64 = 0x0101_0101_0101_0101;

/// None if there is another character among them.
#[inline]
pub fn number(digits: [u8; 8]) -> Option<u32> {
    let digits = u64::from_be_bytes(digits);
    // The lower half of a digit from '0' is its value, of a letter from 'a', which has the bit of 64, its value less 9.
    let values = (digits & (ONES * 0xf)) + (digits >> 6 & ONES) * 9;
    let is_valid = values & (ONES * 0xf0) == 0 && characters(values) == digits;
    let pairs = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    is_valid.then_some((fours | fours >> 16) as u32)
}

#[inline]
pub fn digits(number: u32) -> [u8; 8] {
    let eight = u64::from(number);
    let fours = (eight | eight << 16) & 0x0000_ffff_0000_ffff;
    let pairs = (fours | fours << 8) & 0x00ff_00ff_00ff_00ff;
    characters((pairs | pairs << 4) & (ONES * 0xf)).to_be_bytes()
}

/// The digits of eight values, at most 25 each, so that no sum runs over into the next byte.
#[inline]
fn characters(values: u64) -> u64 {
    let are_letters = (values + ONES * 6) >> 4 & ONES;
    values + ONES * u64::from(b'0') + are_letters * u64::from(b'a' - b'0' - 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_at_every_place() {
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                let mut eight = *b"00000000";
                eight[place] = byte;
                let value = matches!(byte, b'0'..=b'9' | b'a'..=b'f').then(|| char::from(byte).to_digit(16).unwrap());
                assert_eq!(number(eight), value.map(|value| value << (4 * (7 - place))), "{byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for value in [0, 1, 0x0123_4567, 0x89ab_cdef, 0xfedc_ba98, u32::MAX] {
            assert_eq!(digits(value), format!("{value:08x}").as_bytes());
            assert_eq!(number(digits(value)), Some(value));
        }
    }
}
