//! Percent-encoding of the form `application/x-www-form-urlencoded`, where a space is a plus, and that of URLs.

use std::borrow::Cow;

/// Decodes ASCII text. A percent sign that nothing valid follows stays; bytes that are no UTF-8 become U+FFFD.
pub fn decoded(text: &str) -> Cow<'_, str> {
    match text.bytes().position(is_escape) {
        Some(first) => decoded_from(text, first),
        None => Cow::Borrowed(text),
    }
}

/// What stands for another character, or begins what does.
#[inline]
pub const fn is_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'+')
}

/// The same, where the caller knows the place of the first of them.
pub fn decoded_from(text: &str, first: usize) -> Cow<'_, str> {
    let decoded = octets::<b' '>(text, first);
    Cow::Owned(
        String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

/// Decodes ASCII text of a URL, where a plus stays. None if that is no UTF-8.
pub fn decoded_url(text: &str) -> Option<String> {
    String::from_utf8(octets::<b'+'>(text, 0)).ok()
}

/// `PLUS` is what a plus stands for.
fn octets<const PLUS: u8>(text: &str, first: usize) -> Vec<u8> {
    let bytes = text.as_bytes();
    // Never longer than what it was.
    let mut decoded = bytes.to_vec();
    let (mut from, mut to) = (first, first);
    while let Some(&byte) = bytes.get(from) {
        let octet = match bytes[from..] {
            [b'%', high, low, ..] => octet(high, low),
            _ => None,
        };
        decoded[to] = octet.unwrap_or(if byte == b'+' { PLUS } else { byte });
        from += if octet.is_some() { 3 } else { 1 };
        to += 1;
    }
    decoded.truncate(to);
    decoded
}

#[inline]
fn octet(high: u8, low: u8) -> Option<u8> {
    let (high, low) = (VALUES[usize::from(high)], VALUES[usize::from(low)]);
    ((high | low) < 16).then_some(high << 4 | low)
}

/// The values of hexadecimal digits; of other bytes one that is too large.
static VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value as usize];
        values[digit as usize] = value;
        values[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    values
};

/// Appends the text, with all but letters, digits and `_.-~` encoded.
pub fn encode(text: &str, encoded: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => encoded.push(byte.into()),
            b' ' => encoded.push('+'),
            _ => {
                let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
                encoded.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for text in ["", "plain", "a b+c%", "é\u{1f600}\0\u{7f}", "_.-~!*'()"] {
            let mut encoded = String::new();
            encode(text, &mut encoded);
            assert!(encoded.is_ascii());
            assert_eq!(decoded(&encoded), text);
        }
    }

    #[test]
    fn what_is_no_escape_stays_and_what_is_no_utf8_is_replaced() {
        assert_eq!(decoded("%"), "%");
        assert_eq!(decoded("%4"), "%4");
        assert_eq!(decoded("%zz%4a%4A"), "%zzJJ");
        assert_eq!(decoded("%%41"), "%A");
        assert_eq!(decoded("%ff%C3%28%E2%82"), "\u{fffd}\u{fffd}(\u{fffd}");
    }

    #[test]
    fn a_url_has_no_plus_for_a_space() {
        assert_eq!(decoded_url("a=%7E%c3%A9+b&c=%2&d=%zz%").unwrap(), "a=~é+b&c=%2&d=%zz%");
        assert_eq!(decoded_url("a=%ff"), None);
    }
}
