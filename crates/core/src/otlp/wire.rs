//! Protobuf's wire format, as much of it as OTLP's span path needs.

/// A field's tag byte for a length-delimited value. OTLP's fields that we write have numbers below 16: one byte.
pub const fn len_tag(field: u8) -> u8 {
    field << 3 | 2
}

/// A field's tag byte for a varint.
pub const fn varint_tag(field: u8) -> u8 {
    field << 3
}

/// A field's tag byte for a little-endian 64-bit value.
pub const fn fixed64_tag(field: u8) -> u8 {
    field << 3 | 1
}

pub const MAX_VARINT_LEN: usize = 10;

#[inline]
pub const fn varint_len(value: u64) -> usize {
    // One byte for every started group of seven bits; zero takes one as well.
    ((70 - (value | 1).leading_zeros()) / 7) as usize
}

#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Tag and length of what comes next.
#[inline]
pub fn put_head(out: &mut Vec<u8>, tag: u8, len: u64) {
    // Nearly everything in a span is shorter than this.
    if len < 0x80 {
        out.extend_from_slice(&[tag, len as u8]);
    } else {
        out.push(tag);
        put_varint(out, len);
    }
}

/// As `put_head`, into `out` from `at` on; returns where it ends. There must be room.
#[inline]
pub fn head_at(out: &mut [u8], at: usize, tag: u8, len: usize) -> usize {
    out[at] = tag;
    varint_at(out, at + 1, len as u64)
}

/// As `put_varint`, into `out` from `at` on; returns where it ends. There must be room.
#[inline]
pub fn varint_at(out: &mut [u8], mut at: usize, mut value: u64) -> usize {
    while value >= 0x80 {
        out[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

/// `out.copy_from_slice(bytes)`, for bytes of which there are few as a rule: a call of `memcpy` costs more than they do.
#[inline]
pub fn copy_short(out: &mut [u8], bytes: &[u8]) {
    /// The first and the last N, which overlap.
    #[inline(always)]
    fn both_ends<const N: usize>(out: &mut [u8], bytes: &[u8]) {
        let (first, last) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>());
        if let (Some(first), Some(last)) = (first, last) {
            let end = out.len() - N;
            out[..N].copy_from_slice(first);
            out[end..].copy_from_slice(last);
        }
    }
    assert_eq!(out.len(), bytes.len());
    match bytes.len() {
        0 => {}
        1..4 => {
            let last = bytes.len() - 1;
            (out[0], out[last / 2 + last % 2], out[last]) = (bytes[0], bytes[last / 2 + last % 2], bytes[last]);
        }
        4..8 => both_ends::<4>(out, bytes),
        8..16 => both_ends::<8>(out, bytes),
        16..32 => both_ends::<16>(out, bytes),
        _ => out.copy_from_slice(bytes),
    }
}

/// Tag, length and bytes.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.reserve(bytes.len() + 11);
    put_head(out, tag, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[inline]
pub fn put_fixed64(out: &mut Vec<u8>, tag: u8, value: u64) {
    out.push(tag);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Tag and varint, or nothing for zero, which is protobuf's default.
#[inline]
pub fn put_uint(out: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        out.push(tag);
        put_varint(out, value);
    }
}

/// Puts tag and length before what stands in `out` from `start`: for messages whose length is known only when written.
pub fn frame_from(out: &mut Vec<u8>, start: usize, tag: u8) {
    let len = out.len() - start;
    let mut head = [0u8; 11];
    head[0] = tag;
    let mut used = 1;
    let mut rest = len as u64;
    while rest >= 0x80 {
        head[used] = rest as u8 | 0x80;
        rest >>= 7;
        used += 1;
    }
    head[used] = rest as u8;
    used += 1;
    out.resize(out.len() + used, 0);
    out.copy_within(start..start + len, start + used);
    out[start..start + used].copy_from_slice(&head[..used]);
}

/// Appends a `KeyValue` of an encoded `AnyValue`, and returns where its key begins.
#[inline]
pub fn put_key_value(out: &mut Vec<u8>, tag: u8, key: &str, value: &[u8]) -> usize {
    let (key_len, value_len) = (key.len() as u64, value.len() as u64);
    let len = 2 + varint_len(key_len) + key.len() + varint_len(value_len) + value.len();
    put_head(out, tag, len as u64);
    put_head(out, len_tag(1), key_len);
    let key_start = out.len();
    out.extend_from_slice(key.as_bytes());
    put_head(out, len_tag(2), value_len);
    out.extend_from_slice(value);
    key_start
}

/// Appends a message of which only `put` knows the length. Where its length takes as many bytes as `expected` does, the
/// message stays where it is written; else it is moved.
#[inline]
pub fn put_framed<R>(out: &mut Vec<u8>, tag: u8, expected: usize, put: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let room = varint_len(expected as u64);
    out.push(tag);
    let head = out.len();
    out.extend_from_slice(&[0; MAX_VARINT_LEN][..room]);
    let result = put(out);
    let len = out.len() - head - room;
    let needed = varint_len(len as u64);
    if needed != room {
        move_end(out, head + room, head + needed);
    }
    let mut rest = len;
    for byte in &mut out[head..head + needed - 1] {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    out[head + needed - 1] = rest as u8;
    result
}

/// Moves all that stands in `out` after `from`.
#[cold]
fn move_end(out: &mut Vec<u8>, from: usize, to: usize) {
    let end = out.len();
    out.resize(end.max(end + to - from), 0);
    out.copy_within(from..end, to);
    out.truncate(end + to - from);
}

/// A field as it stands in a message that we wrote ourselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Reads the fields of a message in order. Ends at the first byte that is not well-formed: it reads our own encoding,
/// where that cannot happen.
#[derive(Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for (i, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[i + 1..];
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(head)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(usize::try_from(len).ok()?)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some(((tag >> 3) as u32, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varint_length_is_what_is_written() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value), "{value}");
                let mut at = [0; 12];
                assert_eq!(varint_at(&mut at, 1, value), 1 + out.len());
                assert_eq!(at[1..=out.len()], out[..]);
                let mut fields = Fields::of(&out);
                assert_eq!(fields.varint(), Some(value));
                assert!(fields.rest.is_empty());
            }
        }
    }

    #[test]
    fn framing_afterwards_equals_framing_at_once() {
        for len in [0, 1, 127, 128, 300, 16384] {
            let body = vec![7u8; len];
            let mut at_once = vec![1, 2, 3];
            put_bytes(&mut at_once, 0x12, &body);
            let mut afterwards = vec![1, 2, 3];
            afterwards.extend_from_slice(&body);
            frame_from(&mut afterwards, 3, 0x12);
            assert_eq!(at_once, afterwards);
        }
    }

    #[test]
    fn a_message_is_framed_alike_whatever_length_was_expected() {
        for len in [0, 1, 127, 128, 300, 16383, 16384] {
            let body = vec![7u8; len];
            let mut at_once = vec![1, 2, 3];
            put_bytes(&mut at_once, 0x12, &body);
            for expected in [0, 127, 128, 16383, 16384, usize::MAX] {
                let mut framed = vec![1, 2, 3];
                let put = |out: &mut Vec<u8>| {
                    out.extend_from_slice(&body);
                    "result"
                };
                assert_eq!(put_framed(&mut framed, 0x12, expected, put), "result");
                assert_eq!(framed, at_once, "{len} {expected}");
            }
        }
    }

    #[test]
    fn short_bytes_are_copied_whole() {
        for len in 0..70u8 {
            let bytes: Vec<u8> = (1..=len).collect();
            let mut out = vec![0; bytes.len()];
            copy_short(&mut out, &bytes);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn truncated_message_ends() {
        assert_eq!(Fields::of(&[0x0a, 5, 1]).next(), None);
        assert_eq!(Fields::of(&[0xff; 12]).next(), None);
    }
}
