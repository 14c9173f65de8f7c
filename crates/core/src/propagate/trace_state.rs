//! `tracestate`: what each vendor on the way has to say, newest first.

use smallvec::SmallVec;

use super::cut::{Bytes, cut, without_blanks};

/// More members, or more characters in all headers together, are reported and dropped.
pub const MAX_MEMBERS: usize = 32;
pub const MAX_LEN: usize = 8192;

const MAX_KEY: usize = 256;
const MAX_TENANT: usize = 241;
const MAX_VENDOR: usize = 14;
const MAX_VALUE: usize = 256;

/// Why a `tracestate` is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// A key is there twice: all members are dropped, of which nobody is told.
    Duplicate,
    /// Something that is reported.
    Reported,
}

/// Keys and values. More than a few are rare.
pub type Members<'a> = SmallVec<[(&'a str, &'a str); 4]>;

/// Reads the members of one header after those of the headers before it.
pub fn read<'a>(header: &'a str, members: &mut Members<'a>) -> Result<(), Unread> {
    let mut rest = Some(header);
    while let Some(now) = rest {
        let (key, value) = match read_plain(now) {
            Some((key, value)) => {
                rest = now.get(key.len() + 1 + value.len() + 1..);
                (key, value)
            }
            None => {
                let (member, next) = cut(now, b',').map_or((now, None), |(member, next)| (member, Some(next)));
                rest = next;
                let member = without_blanks(member);
                if member.is_empty() {
                    continue;
                }
                read_member(member)?
            }
        };
        if members.iter().any(|(known, _)| *known == key) {
            return Err(Unread::Duplicate);
        }
        // That there are too many is reported only if all are valid: so the caller's own code has to read them.
        if members.len() == MAX_MEMBERS {
            return Err(Unread::Reported);
        }
        members.push((key, value));
    }
    Ok(())
}

/// The member that the text begins with, if there are neither blanks around it nor a tenant in it: so are most, and each
/// of their characters is looked at once.
#[inline]
fn read_plain(text: &str) -> Option<(&str, &str)> {
    let key = KEY.first_of(text.as_bytes());
    let value = text[key..].strip_prefix('=')?;
    let length = VALUE.first_of(value.as_bytes());
    let (key, value, next) = (&text[..key], &value[..length], value.as_bytes().get(length));
    let is_member = key.len() <= MAX_KEY && key.starts_with(|first: char| first.is_ascii_lowercase());
    (is_member && is_whole(value) && matches!(next, None | Some(b','))).then_some((key, value))
}

fn read_member(member: &str) -> Result<(&str, &str), Unread> {
    let (key, value) = cut(member, b'=').ok_or(Unread::Reported)?;
    let is_member = is_key(key.as_bytes()) && VALUE.has_all(value.as_bytes()) && is_whole(value);
    if is_member { Ok((key, value)) } else { Err(Unread::Reported) }
}

fn is_key(key: &[u8]) -> bool {
    match key.iter().position(|&byte| byte == b'@') {
        None => is_name(key, MAX_KEY, u8::is_ascii_lowercase),
        Some(at) => {
            let is_first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            is_name(&key[..at], MAX_TENANT, is_first) && is_name(&key[at + 1..], MAX_VENDOR, u8::is_ascii_lowercase)
        }
    }
}

fn is_name(name: &[u8], max: usize, is_first: impl Fn(&u8) -> bool) -> bool {
    name.len() <= max && name.first().is_some_and(is_first) && KEY.has_all(name)
}

/// It is neither too short nor too long, and no blank at its end belongs to what is around it.
#[inline]
fn is_whole(value: &str) -> bool {
    value.len() <= MAX_VALUE && value.bytes().next_back().is_some_and(|last| last != b' ')
}

/// Those of a key after its first.
static KEY: Bytes = Bytes::of(b"abcdefghijklmnopqrstuvwxyz0123456789_-*/");
static VALUE: Bytes = Bytes::between([b' ', b'~'], b",=");

#[cfg(test)]
mod tests {
    use super::*;

    fn all(headers: &[&str]) -> Result<Vec<(String, String)>, Unread> {
        let mut members = Members::new();
        headers.iter().try_for_each(|header| read(header, &mut members))?;
        Ok(members.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, Unread> {
        Ok(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn members_stay_in_order_over_all_headers() {
        assert_eq!(all(&["foo=1,bar=2", "baz= 3"]), pairs(&[("foo", "1"), ("bar", "2"), ("baz", " 3")]));
        assert_eq!(all(&["\t foo=1 \t , ,,bar=2", ""]), pairs(&[("foo", "1"), ("bar", "2")]));
        assert_eq!(all(&[]), pairs(&[]));
    }

    #[test]
    fn a_key_that_is_there_twice_drops_all() {
        assert_eq!(all(&["foo=1,foo=1"]), Err(Unread::Duplicate));
        assert_eq!(all(&["foo=1", "foo=2"]), Err(Unread::Duplicate));
    }

    #[test]
    fn keys_and_values_as_w3c_has_them() {
        for key in ["a", "a_-*/0", &"z".repeat(256), "0t@v", &format!("{}@{}", "t".repeat(241), "v".repeat(14))] {
            assert!(all(&[&format!("{key}=1")]).is_ok(), "{key}");
        }
        let long_vendor = format!("t@{}", "v".repeat(15));
        let long_tenant = format!("{}@v", "t".repeat(242));
        for key in ["", "0", "A", "a b", "é", "a@", "@a", "a@0", "a@b@c", &"z".repeat(257), &long_vendor, &long_tenant]
        {
            assert_eq!(all(&[&format!("{key}=1")]), Err(Unread::Reported), "{key}");
        }
        for value in ["~", "a b", "!\"#$%&'()*+-./:;<>?@[\\]^_`{|}", &"v".repeat(256)] {
            assert!(all(&[&format!("k={value}")]).is_ok(), "{value}");
        }
        for value in ["", "=", "a=b", "\u{7f}", "é", "a\u{b}b", &"v".repeat(257)] {
            assert_eq!(all(&[&format!("k={value}")]), Err(Unread::Reported), "{value}");
        }
    }

    #[test]
    fn more_than_32_are_reported() {
        let many = |count| (0..count).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(all(&[&many(32)]).map(|members| members.len()), Ok(32));
        assert_eq!(all(&[&many(33)]), Err(Unread::Reported));
    }
}
