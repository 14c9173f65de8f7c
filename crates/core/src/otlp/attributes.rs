//! Attributes in their wire form, bounded in number: appended as they are set, framed as they stand.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::otlp::memory::{OutOfMemory, make_room};
use crate::otlp::wire::{self, Fields, Value};

/// From here on a map finds a key; below, looking at every hash is quicker.
const INDEX_FROM: usize = 48;

/// A set of key-values, each encoded as the field `tag` of the message it belongs to.
///
/// As in the Python SDK, setting a key again moves it to the end, and a new key beyond the limit drops the oldest.
pub struct Attributes {
    tag: u8,
    limit: Option<usize>,
    version: Version,
    live: usize,
    /// No entry before this one is live.
    first_live: usize,
    wire: Vec<u8>,
    entries: Vec<Entry>,
    /// From a key's hash to the entry that was written last with it. Boxed: every span has room for it, few need it.
    #[allow(clippy::box_collection)]
    index: Option<Box<HashMap<u64, usize>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Version {
    changes: u32,
    /// How many attributes were dropped: for want of room, or because their key was not valid.
    pub dropped: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    start: usize,
    end: usize,
    key_start: usize,
    key_len: u32,
    live: bool,
    /// The wire form lost something, such as the digits of an integer beyond 64 bits.
    lossy: bool,
}

/// One attribute: its key, its AnyValue message, and whether the wire form lost something.
pub struct Attribute<'a> {
    pub key: &'a str,
    pub value: &'a [u8],
    pub lossy: bool,
}

impl Attributes {
    pub const fn new(field: u8, limit: Option<usize>) -> Self {
        Self {
            tag: wire::len_tag(field),
            limit,
            version: Version { changes: 0, dropped: 0 },
            live: 0,
            first_live: 0,
            wire: Vec::new(),
            entries: Vec::new(),
            index: None,
        }
    }

    /// Forgets everything that was set; the tag and the limit stay.
    pub fn clear(&mut self) {
        *self = Self { tag: self.tag, limit: self.limit, ..Self::new(0, None) };
    }

    /// Makes room for `count` more attributes of usual size, if it is to be had.
    pub fn reserve(&mut self, count: usize) {
        let count = self.limit.map_or(count, |limit| count.min(limit));
        // A span gets a few more while it runs; growing for each of them costs more than the room.
        let _ = self.entries.try_reserve(count.saturating_add(4));
        let _ = self.wire.try_reserve(count.saturating_mul(48).saturating_add(128));
    }

    pub fn len(&self) -> usize {
        self.live
    }

    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// How many attributes were dropped: for want of room, or because their key was not valid.
    pub fn dropped(&self) -> u32 {
        self.version.dropped
    }

    pub fn count_dropped(&mut self, count: u32) {
        self.version.dropped = self.version.dropped.saturating_add(count);
    }

    /// Two equal ones mean that nothing was changed between them.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Sets `key` to the encoded AnyValue `value`. `hash` must be the same for equal keys within one process.
    ///
    /// Returns false if the oldest attribute had to go, or this one could not be taken.
    pub fn set(&mut self, key: &str, hash: u64, value: &[u8], lossy: bool) -> bool {
        self.try_set(key, hash, value, lossy).unwrap_or(false)
    }

    /// As `set`. Without memory for the new attribute all stay as they are, and it counts as dropped.
    #[inline]
    pub fn try_set(&mut self, key: &str, hash: u64, value: &[u8], lossy: bool) -> Result<bool, OutOfMemory> {
        if self.limit == Some(0) {
            self.count_dropped(1);
            return Ok(false);
        }
        self.make_room(key, value).inspect_err(|OutOfMemory| self.count_dropped(1))?;
        self.version.changes = self.version.changes.wrapping_add(1);
        if let Some(old) = self.find(key, hash) {
            self.kill(old);
        }
        let mut in_room = true;
        if self.limit.is_some_and(|limit| self.live >= limit) {
            while !self.entries[self.first_live].live {
                self.first_live += 1;
            }
            self.kill(self.first_live);
            self.first_live += 1;
            self.count_dropped(1);
            in_room = false;
        }
        self.compact();
        self.append(key, hash, value, lossy);
        Ok(in_room)
    }

    /// Room for one more attribute.
    #[inline]
    fn make_room(&mut self, key: &str, value: &[u8]) -> Result<(), OutOfMemory> {
        // Four heads.
        make_room(&mut self.wire, key.len() + value.len() + 44)?;
        if self.entries.len() == self.entries.capacity() {
            self.entries.try_reserve(1)?;
        }
        if let Some(index) = &mut self.index
            && index.len() == index.capacity()
        {
            index.try_reserve(1)?;
        }
        Ok(())
    }

    fn append(&mut self, key: &str, hash: u64, value: &[u8], lossy: bool) {
        let key_len = key.len() as u64;
        let value_len = value.len() as u64;
        let len = 2 + wire::varint_len(key_len) + key.len() + wire::varint_len(value_len) + value.len();
        let start = self.wire.len();
        wire::put_head(&mut self.wire, self.tag, len as u64);
        wire::put_head(&mut self.wire, wire::len_tag(1), key_len);
        let key_start = self.wire.len();
        self.wire.extend_from_slice(key.as_bytes());
        wire::put_head(&mut self.wire, wire::len_tag(2), value_len);
        self.wire.extend_from_slice(value);
        let entry =
            Entry { hash, start, end: self.wire.len(), key_start, key_len: key.len() as u32, live: true, lossy };
        self.entries.push(entry);
        self.live += 1;
        if let Some(index) = &mut self.index {
            index.insert(hash, self.entries.len() - 1);
        } else if self.entries.len() >= INDEX_FROM {
            self.index = Some(Box::new(self.entries.iter().enumerate().map(|(i, entry)| (entry.hash, i)).collect()));
        }
    }

    fn key(&self, entry: &Entry) -> &[u8] {
        &self.wire[entry.key_start..entry.key_start + entry.key_len as usize]
    }

    #[inline]
    fn find(&self, key: &str, hash: u64) -> Option<usize> {
        let is = |entry: &Entry| entry.live && entry.hash == hash && self.key(entry) == key.as_bytes();
        if let Some(index) = &self.index {
            let newest = *index.get(&hash)?;
            if is(&self.entries[newest]) {
                return Some(newest);
            }
            // The newest entry with this hash has another key (or is dead): two keys share a hash. Look at all.
        }
        self.entries[self.first_live..].iter().position(is).map(|i| i + self.first_live)
    }

    fn kill(&mut self, at: usize) {
        self.entries[at].live = false;
        self.live -= 1;
    }

    /// Gives back the room of dead entries once they are the larger part, so that a span whose attributes are set over
    /// and over stays bounded.
    fn compact(&mut self) {
        if self.entries.len() < 2 * self.live + INDEX_FROM {
            return;
        }
        let mut wire = Vec::new();
        // As much room after the live entries as there is now, which is enough for the next one.
        let spare = self.wire.capacity() - self.wire.len();
        if make_room(&mut wire, self.wire_len() + spare).is_err() {
            return;
        }
        self.entries.retain(|entry| entry.live);
        for entry in &mut self.entries {
            let start = wire.len();
            wire.extend_from_slice(&self.wire[entry.start..entry.end]);
            entry.key_start -= entry.start;
            entry.key_start += start;
            entry.start = start;
            entry.end = wire.len();
        }
        self.wire = wire;
        self.first_live = 0;
        self.index = None;
    }

    /// Bytes that `write` appends.
    pub fn wire_len(&self) -> usize {
        if self.live == self.entries.len() {
            return self.wire.len();
        }
        self.entries.iter().filter(|e| e.live).map(|e| e.end - e.start).sum()
    }

    /// What `write` appends.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        if self.live == self.entries.len() {
            return Cow::Borrowed(&self.wire);
        }
        let mut bytes = Vec::with_capacity(self.wire_len());
        self.write(&mut bytes);
        Cow::Owned(bytes)
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        if self.live == self.entries.len() {
            out.extend_from_slice(&self.wire);
            return;
        }
        for entry in self.entries.iter().filter(|e| e.live) {
            out.extend_from_slice(&self.wire[entry.start..entry.end]);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Attribute<'_>> {
        self.entries.iter().filter(|e| e.live).filter_map(|entry| {
            let message = Fields::of(&self.wire[entry.start..entry.end]).next();
            let Some((_, Value::Bytes(key_value))) = message else { return None };
            let (key, value) = key_value_parts(key_value)?;
            Some(Attribute { key, value, lossy: entry.lossy })
        })
    }
}

/// The key and the AnyValue message of a KeyValue message.
pub fn key_value_parts(key_value: &[u8]) -> Option<(&str, &[u8])> {
    let mut key = "";
    let mut value: &[u8] = &[];
    for field in Fields::of(key_value) {
        match field {
            (1, Value::Bytes(bytes)) => key = std::str::from_utf8(bytes).ok()?,
            (2, Value::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(value: u8) -> Vec<u8> {
        vec![wire::varint_tag(3), value]
    }

    fn keys(attributes: &Attributes) -> Vec<(String, u8)> {
        attributes.iter().map(|a| (a.key.to_owned(), a.value[1])).collect()
    }

    #[test]
    fn setting_again_moves_to_the_end() {
        let mut attributes = Attributes::new(9, None);
        for (key, value) in [("a", 1), ("b", 2), ("a", 3)] {
            assert!(attributes.set(key, key.len() as u64, &int(value), false));
        }
        assert_eq!(keys(&attributes), [("b".into(), 2), ("a".into(), 3)]);
        assert_eq!((attributes.len(), attributes.dropped()), (2, 0));
        let mut out = Vec::new();
        attributes.write(&mut out);
        assert_eq!(out.len(), attributes.wire_len());
    }

    #[test]
    fn beyond_the_limit_the_oldest_goes() {
        let mut attributes = Attributes::new(9, Some(2));
        assert!(attributes.set("a", 1, &int(1), false));
        assert!(attributes.set("b", 2, &int(2), false));
        assert!(!attributes.set("c", 3, &int(3), false));
        assert_eq!(keys(&attributes), [("b".into(), 2), ("c".into(), 3)]);
        assert_eq!(attributes.dropped(), 1);
    }

    #[test]
    fn no_room_at_all_drops_every_one() {
        let mut attributes = Attributes::new(9, Some(0));
        assert!(!attributes.set("a", 1, &int(1), false));
        assert_eq!((attributes.len(), attributes.dropped()), (0, 1));
    }

    #[test]
    fn same_hash_is_not_the_same_key() {
        let mut attributes = Attributes::new(9, None);
        for i in 0..200u8 {
            attributes.set(&format!("k{i}"), 7, &int(i % 100), false);
        }
        for i in 0..200u8 {
            attributes.set(&format!("k{i}"), 7, &int(1), false);
        }
        assert_eq!(attributes.len(), 200);
        assert!(attributes.iter().all(|a| a.value[1] == 1));
    }

    #[test]
    fn setting_one_key_for_ever_stays_small() {
        let mut attributes = Attributes::new(9, Some(4));
        for i in 0..if cfg!(miri) { 1000 } else { 100_000u32 } {
            attributes.set(["a", "b", "c"][i as usize % 3], u64::from(i % 3), &int(i as u8 & 0x7f), false);
        }
        assert_eq!(attributes.len(), 3);
        assert!(attributes.wire.len() < 4096 && attributes.entries.len() < 128);
    }
}
