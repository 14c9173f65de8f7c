//! Text of a peer on its way to a terminal: escaped, bounded, and coloured where the terminal wants it.

/// Builds one piece of output from untrusted text.
///
/// Control characters are escaped, and so are the invisible ones that reorder or hide text: a name must not be able to
/// move the cursor, forge a line or lie about its neighbours. Text beyond `max_chars` is cut and marked with `…`.
pub struct Clipped {
    text: String,
    left: usize,
    cut: bool,
}

impl Clipped {
    pub fn new(max_chars: usize) -> Self {
        Self { text: String::new(), left: max_chars, cut: false }
    }

    /// Once true, nothing more can be added; a caller with much to add can stop.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    pub fn push(&mut self, text: &str) {
        for char in text.chars() {
            if self.cut {
                return;
            }
            if is_unsafe(char) {
                self.push_whole(&char.escape_default().to_string());
            } else {
                self.push_whole(char.encode_utf8(&mut [0; 4]));
            }
        }
    }

    /// An escape is added whole or not at all.
    fn push_whole(&mut self, piece: &str) {
        let width = piece.chars().count();
        if width > self.left {
            self.cut = true;
        } else {
            self.left -= width;
            self.text.push_str(piece);
        }
    }

    pub fn finish(mut self) -> String {
        if self.cut {
            self.text.push('…');
        }
        self.text
    }
}

pub fn clip(text: &str, max_chars: usize) -> String {
    let mut clipped = Clipped::new(max_chars);
    clipped.push(text);
    clipped.finish()
}

fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{00ad}' | '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// An id in hexadecimal, bounded: a peer may send any number of bytes.
pub fn hex(id: &[u8]) -> String {
    const MAX_BYTES: usize = 16;
    let mut text: String = id.iter().take(MAX_BYTES).map(|byte| format!("{byte:02x}")).collect();
    if id.len() > MAX_BYTES {
        text.push('…');
    }
    text
}

pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Whether and how text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    colour: bool,
}

impl Paint {
    pub const PLAIN: Self = Self { colour: false };
    pub const ANSI: Self = Self { colour: true };

    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_reordering_characters_are_escaped() {
        assert_eq!(clip("a\x1b[2Jb\nc\u{202e}d\u{9b}e", 100), "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}e");
        assert_eq!(clip("naïve ✓", 100), "naïve ✓");
    }

    #[test]
    fn long_text_is_cut_and_an_escape_is_never_split() {
        assert_eq!(clip("abcdef", 3), "abc…");
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("ab\nd", 3), "ab…");
    }

    #[test]
    fn ids_of_any_length_are_bounded() {
        assert_eq!(hex(&[0x0a, 0xff]), "0aff");
        assert_eq!(hex(&[0; 1000]).chars().count(), 33);
    }
}
