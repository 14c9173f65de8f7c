//! `baggage`: names and values that travel with a request.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::cut::{Bytes, cut, is_blank, without_blanks, without_blanks_after, without_blanks_before};
use super::percent;

/// More than these is reported and dropped.
pub const MAX_ENTRIES: usize = 180;
pub const MAX_ENTRY: usize = 4096;
pub const MAX_LEN: usize = 8192;

/// A header with something in it that is reported.
#[derive(Debug, PartialEq, Eq)]
pub struct Reported;

/// A name and its value with all properties, decoded.
pub type Entry<'a> = (Cow<'a, str>, Cow<'a, str>);

/// More than a few are rare.
pub type Entries<'a> = SmallVec<[Entry<'a>; 4]>;

/// The entries in their order. A name may be there several times.
pub fn read(header: &str) -> Result<Entries<'_>, Reported> {
    if header.len() > MAX_LEN || !header.is_ascii() {
        return Err(Reported);
    }
    let mut entries = Entries::new();
    let mut rest = Some(header);
    while let Some(now) = rest {
        if let Some((entry, length)) = read_plain(now) {
            if entries.len() == MAX_ENTRIES || length > MAX_ENTRY {
                return Err(Reported);
            }
            entries.push(entry);
            rest = now.get(length + 1..).map(without_blanks_before);
            continue;
        }
        // Blanks before the first entry and after the last belong to it.
        let (entry, next) = match cut(now, b',') {
            Some((entry, next)) => (without_blanks_after(entry), Some(without_blanks_before(next))),
            None => (now, None),
        };
        rest = next;
        if entry.is_empty() {
            continue;
        }
        if entries.len() == MAX_ENTRIES || entry.len() > MAX_ENTRY {
            return Err(Reported);
        }
        entries.push(read_entry(entry)?);
    }
    Ok(entries)
}

/// The entry that the text begins with, and its length, if there are neither blanks nor properties in it: so are most,
/// and each of their characters is looked at once.
#[inline]
fn read_plain(text: &str) -> Option<(Entry<'_>, usize)> {
    let (name, rest) = cut_plain(text, &PLAIN_NAME, &NAME);
    let (value, rest) = cut_plain(rest.strip_prefix('=')?, &PLAIN_VALUE, &VALUE);
    let is_whole = rest.is_empty() || rest.starts_with(',');
    (is_whole && !text.starts_with('=')).then(|| ((name, value), text.len() - rest.len()))
}

/// What the text begins with of `all`, decoded, and the rest. Nothing in `plain` has to be.
#[inline]
fn cut_plain<'a>(text: &'a str, plain: &Bytes, all: &Bytes) -> (Cow<'a, str>, &'a str) {
    let first = plain.first_of(text.as_bytes());
    let (known, rest) = text.split_at(first);
    if !rest.bytes().next().is_some_and(percent::is_escape) {
        return (Cow::Borrowed(known), rest);
    }
    let (whole, rest) = text.split_at(first + all.first_of(rest.as_bytes()));
    (trimmed(percent::decoded_from(whole, first)), rest)
}

fn read_entry(entry: &str) -> Result<Entry<'_>, Reported> {
    let (name, value) = cut(entry, b'=').ok_or(Reported)?;
    let (name, value) = (without_blanks(name), without_blanks(value));
    let (first, properties) = cut(value, b';').map_or((value, None), |(first, rest)| (first, Some(rest)));
    if !is_name(name) || !is_value(without_blanks_after(first)) || !properties.is_none_or(are_properties) {
        return Err(Reported);
    }
    Ok((trimmed(percent::decoded(name)), trimmed(percent::decoded(value))))
}

fn are_properties(properties: &str) -> bool {
    properties.split(';').all(|property| {
        let (name, value) = cut(property, b'=').unwrap_or((property, ""));
        is_name(without_blanks(name)) && is_value(without_blanks(value))
    })
}

/// Those of a token of RFC 9110.
static NAME: Bytes = Bytes::between([b'!', b'~'], br#""(),/:;<=>?@[\]{}"#);
static VALUE: Bytes = Bytes::between([b'!', b'~'], br#"",;\"#);
/// Those that stand for themselves.
static PLAIN_NAME: Bytes = Bytes::between([b'!', b'~'], br#""(),/:;<=>?@[\]{}%+"#);
static PLAIN_VALUE: Bytes = Bytes::between([b'!', b'~'], br#"",;\%+"#);

#[inline]
fn is_name(name: &str) -> bool {
    !name.is_empty() && NAME.has_all(name.as_bytes())
}

#[inline]
fn is_value(value: &str) -> bool {
    VALUE.has_all(value.as_bytes())
}

/// Without what Python's `str.strip` strips. None of that is left where nothing was escaped.
fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    let Cow::Owned(text) = text else { return text };
    let is_space = |character: char| character.is_whitespace() || matches!(character, '\x1c'..='\x1f');
    let ends = [text.as_bytes().first(), text.as_bytes().last()];
    if ends.iter().flatten().all(|byte| byte.is_ascii_graphic()) {
        return Cow::Owned(text);
    }
    match text.trim_matches(is_space) {
        kept if kept.len() == text.len() => Cow::Owned(text),
        kept => Cow::Owned(kept.to_owned()),
    }
}

/// The header with long runs of blanks shortened, if there are any and it is not too long: to split it at its commas
/// takes upstream's regular expression a time that grows with the square of a run's length.
pub fn with_short_blanks(header: &str) -> Option<String> {
    const LONGEST: usize = 64;
    if header.len() > MAX_LEN {
        return None;
    }
    let mut short = String::with_capacity(header.len());
    let mut run = 0;
    for character in header.chars() {
        run = if u8::try_from(character).is_ok_and(is_blank) { run + 1 } else { 0 };
        if run <= LONGEST {
            short.push(character);
        }
    }
    (short.len() < header.len()).then_some(short)
}

/// A header in the making.
#[derive(Default)]
pub struct Writer {
    header: String,
    entries: usize,
}

impl Writer {
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), Reported> {
        if self.entries > 0 {
            self.header.push(',');
        }
        let begin = self.header.len();
        percent::encode(name, &mut self.header);
        self.header.push('=');
        percent::encode(value, &mut self.header);
        self.entries += 1;
        let is_too_much = self.entries > MAX_ENTRIES || self.header.len() > MAX_LEN;
        if is_too_much || self.header.len() - begin > MAX_ENTRY { Err(Reported) } else { Ok(()) }
    }

    pub fn into_header(self) -> String {
        self.header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(header: &str) -> Vec<(String, String)> {
        let entries = read(header).unwrap_or_else(|_| panic!("{header:?} is reported"));
        entries.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn entries_with_properties_and_escapes() {
        assert_eq!(pairs("key=val,key2=a%20b+c"), expected(&[("key", "val"), ("key2", "a b c")]));
        assert_eq!(pairs("k=v;p=1;q , ,l=%C3%A9"), expected(&[("k", "v;p=1;q"), ("l", "é")]));
        assert_eq!(pairs(" k = v ; p = 1 ;q "), expected(&[("k", "v ; p = 1 ;q")]));
        assert_eq!(pairs("k=,,l=a=b"), expected(&[("k", ""), ("l", "a=b")]));
        assert_eq!(pairs("k%20=%1Fv%C2%A0"), expected(&[("k", "v")]));
        assert_eq!(pairs(""), expected(&[]));
    }

    #[test]
    fn what_is_malformed_or_too_much_is_reported() {
        let many = |count| (0..count).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
        for header in ["k", "=v", "k v=v", "k=v v", "k=v;", "k=v;p=\"", "k=\\", "k=v,x", " ", "é=v", "k=é", "k=v\n"] {
            assert_eq!(read(header), Err(Reported), "{header:?}");
        }
        assert_eq!(pairs(&many(MAX_ENTRIES)).len(), MAX_ENTRIES);
        assert_eq!(read(&many(MAX_ENTRIES + 1)), Err(Reported));
        assert!(read(&format!("k={}", "v".repeat(MAX_ENTRY - 2))).is_ok());
        assert_eq!(read(&format!("k={}", "v".repeat(MAX_ENTRY - 1))), Err(Reported));
        assert_eq!(read(&",".repeat(MAX_LEN + 1)), Err(Reported));
    }

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::default();
        for (name, value) in [("a b", "é;p=1"), ("k", "")] {
            writer.add(name, value).unwrap();
        }
        assert_eq!(writer.into_header(), "a+b=%C3%A9%3Bp%3D1,k=");
    }

    #[test]
    fn long_runs_of_blanks_are_shortened() {
        let header = |count| format!("k ={}v,{}l", " ".repeat(count), "\t".repeat(count));
        assert_eq!(with_short_blanks(&header(64)), None);
        assert_eq!(with_short_blanks(&header(65)), Some(header(64)));
        assert_eq!(with_short_blanks(&header(4000)), Some(header(64)));
        assert_eq!(with_short_blanks(&header(4096)), None, "it is too long, which is reported without reading it");
    }

    #[test]
    fn what_would_be_too_long_is_reported() {
        assert_eq!(Writer::default().add("k", &"v".repeat(MAX_ENTRY - 1)), Err(Reported));
        let mut writer = Writer::default();
        writer.add("k", &"v".repeat(MAX_ENTRY - 2)).unwrap();
        assert_eq!(writer.add("k", &"v".repeat(MAX_ENTRY - 2)), Err(Reported));
        let mut writer = Writer::default();
        (0..MAX_ENTRIES).for_each(|number| writer.add(&number.to_string(), "").unwrap());
        assert_eq!(writer.add("k", ""), Err(Reported));
    }
}
