//! Short texts, cut byte by byte: the searchers of `str` cost several times as much where a piece has ten bytes.

/// Space or tab: what RFC 9110 calls optional whitespace.
#[inline]
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[inline]
pub fn without_blanks_before(text: &str) -> &str {
    let blanks = text.bytes().take_while(|byte| is_blank(*byte)).count();
    &text[blanks..]
}

#[inline]
pub fn without_blanks_after(text: &str) -> &str {
    let blanks = text.bytes().rev().take_while(|byte| is_blank(*byte)).count();
    &text[..text.len() - blanks]
}

#[inline]
pub fn without_blanks(text: &str) -> &str {
    without_blanks_after(without_blanks_before(text))
}

/// What is before the first of an ASCII character, and what is after it.
#[inline]
pub fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    debug_assert!(at.is_ascii());
    let place = text.bytes().position(|byte| byte == at)?;
    Some((&text[..place], &text[place + 1..]))
}

/// A set of ASCII characters.
pub struct Bytes([bool; 256]);

impl Bytes {
    pub const fn of(characters: &[u8]) -> Self {
        let mut set = [false; 256];
        let mut at = 0;
        while at < characters.len() {
            set[characters[at] as usize] = true;
            at += 1;
        }
        Self(set)
    }

    /// Those between the first and the last of `range`, without those of `except`.
    pub const fn between(range: [u8; 2], except: &[u8]) -> Self {
        let mut set = [false; 256];
        let mut byte = range[0];
        while byte <= range[1] {
            set[byte as usize] = true;
            byte += 1;
        }
        let mut at = 0;
        while at < except.len() {
            set[except[at] as usize] = false;
            at += 1;
        }
        Self(set)
    }

    #[inline]
    pub fn has_all(&self, text: &[u8]) -> bool {
        self.first_of(text) == text.len()
    }

    /// How many of them the text begins with.
    #[inline]
    pub fn first_of(&self, text: &[u8]) -> usize {
        text.iter().take_while(|byte| self.0[usize::from(**byte)]).count()
    }
}
