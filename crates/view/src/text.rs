//! Text of a peer on its way to a terminal: escaped, bounded, and coloured where the terminal wants it.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Builds one piece of output from untrusted text.
///
/// What [`is_hidden`] is escaped: a name must not be able to move the cursor, forge a line or lie about its neighbours.
/// Text beyond `max_chars` is cut and marked with `…`.
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
            if is_hidden(char) {
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

/// Whether a character can do something to a terminal, reorder or join what stands beside it, or is not seen at all.
///
/// Unicode's tables decide: all of the category Other (controls, C1, bidirectional and other format characters, private
/// use, unassigned), line and paragraph separators, and what a renderer may leave out (fillers, variation selectors).
pub fn is_hidden(char: char) -> bool {
    const CATEGORY: CodePointMapDataBorrowed<'static, GeneralCategory> = CodePointMapData::new();
    const IGNORABLE: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    const BREAKING: GeneralCategoryGroup = GeneralCategoryGroup::Other
        .union(GeneralCategoryGroup::LineSeparator)
        .union(GeneralCategoryGroup::ParagraphSeparator);
    /// A braille pattern without a dot: a blank that does not count as white space.
    const BLANK: char = '\u{2800}';
    if char.is_ascii() {
        return char.is_ascii_control();
    }
    BREAKING.contains(CATEGORY.get(char)) || IGNORABLE.contains(char) || char == BLANK
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

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    colour: bool,
}

impl Paint {
    pub const PLAIN: Self = Self { colour: false };
    pub const ANSI: Self = Self { colour: true };

    pub fn paint(self, style: Style, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

pub const PLAIN: Style = Style::new();
pub const BOLD: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();
pub const ERROR: Style = AnsiColor::Red.on_default();
pub const WARNING: Style = AnsiColor::Yellow.on_default();
pub const BAR: Style = AnsiColor::Cyan.on_default();

/// A line that ends where the screen does. Its pieces contain nothing that [`is_hidden`].
pub struct Line {
    text: String,
    paint: Paint,
    /// How many columns are left; `None` if all that is pushed has room.
    left: Option<usize>,
}

impl Line {
    pub fn new(paint: Paint, columns: Option<usize>) -> Self {
        Self { text: String::new(), paint, left: columns }
    }

    pub fn push(&mut self, style: Style, text: &str) {
        let Some(left) = self.left else {
            self.text.push_str(&self.paint.paint(style, text));
            return;
        };
        let fitting = fit(text, left);
        // Nothing comes after what was cut.
        self.left = Some(if matches!(fitting, Cow::Owned(_)) { 0 } else { left - fitting.width() });
        self.text.push_str(&self.paint.paint(style, &fitting));
    }

    /// Two spaces and the text, if there is any.
    pub fn push_column(&mut self, style: Style, text: &str) {
        if !text.is_empty() {
            self.push(PLAIN, "  ");
            self.push(style, text);
        }
    }

    pub fn finish(self) -> String {
        let mut text = self.text;
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
        text
    }
}

/// As much of the text as has room in so many columns of a terminal; a cut is marked with `…`.
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return text.into();
    }
    if columns == 0 {
        return "".into();
    }
    let mut used = 0;
    let is_over = |(_, char): &(usize, char)| {
        used += char.width().unwrap_or(0);
        used >= columns
    };
    let end = text.char_indices().find(is_over).map_or(text.len(), |(at, _)| at);
    format!("{}…", &text[..end]).into()
}

/// The text in exactly so many columns.
pub fn pad(text: &str, columns: usize) -> String {
    let fitting = fit(text, columns);
    let spaces = columns.saturating_sub(fitting.width());
    format!("{fitting}{}", " ".repeat(spaces))
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

    #[test]
    fn text_ends_where_the_screen_does_also_where_characters_are_wide() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdef", 5), "abcd…");
        assert_eq!(fit("日本語", 6), "日本語");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(pad("日本語", 4), "日… ");
        assert_eq!(pad("a", 3), "a  ");
    }

    #[test]
    fn nothing_comes_after_what_was_cut() {
        let mut line = Line::new(Paint::ANSI, Some(6));
        line.push(BOLD, "abc");
        line.push_column(ERROR, "日本");
        line.push_column(PLAIN, "x");
        assert_eq!(line.finish(), "\x1b[1mabc\x1b[0m  \x1b[31m…\x1b[0m\n");
    }
}
