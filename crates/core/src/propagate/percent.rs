//! Percent-encoding of the form `application/x-www-form-urlencoded`: a space is a plus.

use std::borrow::Cow;

/// Decodes ASCII text. A percent sign that nothing valid follows stays; bytes that are no UTF-8 become U+FFFD.
pub fn decoded(text: &str) -> Cow<'_, str> {
    let Some(first) = text.bytes().position(|byte| matches!(byte, b'%' | b'+')) else { return Cow::Borrowed(text) };
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    decoded.extend_from_slice(&bytes[..first]);
    let mut at = first;
    while at < bytes.len() {
        let octet = match bytes[at..] {
            [b'%', high, low, ..] => digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        decoded.push(match (octet, bytes[at]) {
            (Some(octet), _) => octet,
            (None, b'+') => b' ',
            (None, byte) => byte,
        });
        at += if octet.is_some() { 3 } else { 1 };
    }
    Cow::Owned(
        String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

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
}
