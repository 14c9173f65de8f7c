//! Attributes in their wire form, bounded in number: appended as they are set, framed as they stand.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;

use crate::otlp::any_value::{self, Scalar};
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
    room: Room,
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

/// The bytes of an attribute go from here to the start of the next one.
#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    start: usize,
    live: bool,
    /// The wire form lost something, such as the digits of an integer beyond 64 bits.
    lossy: bool,
}

const KEY: u8 = wire::len_tag(1);
const VALUE: u8 = wire::len_tag(2);

/// Where attributes are kept: their bytes, and what is known of each. Made once for many spans, one after the other.
struct Room {
    /// As long as its capacity. What follows the used bytes is of no meaning.
    bytes: Vec<u8>,
    used: usize,
    entries: Vec<Entry>,
    /// With fewer entries than this there is room for another, and no index, whatever the limit.
    plain: usize,
}

thread_local! {
    /// Of attributes that are gone.
    static SPARE: Cell<Vec<Spare>> = const { Cell::new(Vec::new()) };
}

/// The buffers of a room that nobody needs any more.
struct Spare {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// How many spare rooms a thread keeps, and how large ones.
const MAX_SPARE: usize = 16;
const MAX_SPARE_BYTES: usize = 4096;
const MAX_SPARE_ENTRIES: usize = 128;

impl Room {
    const fn new() -> Self {
        Self { bytes: Vec::new(), used: 0, entries: Vec::new(), plain: 0 }
    }

    /// Takes spare buffers, if there are any.
    fn take_spare(&mut self) {
        // A thread that is ending has lost them.
        let _ = SPARE.try_with(|kept| {
            let mut spares = kept.take();
            if let Some(Spare { bytes, entries }) = spares.pop() {
                (self.bytes, self.entries) = (bytes, entries);
            }
            kept.set(spares);
        });
    }

    fn len(&self) -> usize {
        self.used
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.used
    }

    /// Makes room for so many more entries and bytes.
    fn make(&mut self, entries: usize, bytes: usize, limit: Option<usize>) -> Result<(), OutOfMemory> {
        if self.bytes.is_empty() && self.entries.capacity() == 0 {
            self.take_spare();
        }
        if self.left() < bytes {
            self.bytes.truncate(self.used);
            make_room(&mut self.bytes, bytes)?;
            // By whole pieces, since a build without optimizations would do it byte for byte.
            const ZEROS: [u8; 512] = [0; 512];
            while self.bytes.len() < self.bytes.capacity() {
                let missing = self.bytes.capacity() - self.bytes.len();
                self.bytes.extend_from_slice(&ZEROS[..missing.min(ZEROS.len())]);
            }
        }
        if self.entries.capacity() - self.entries.len() < entries {
            self.entries.try_reserve(entries)?;
        }
        self.plain = self.entries.capacity().min(INDEX_FROM - 1).min(limit.unwrap_or(usize::MAX));
        Ok(())
    }

    /// The next `len` bytes, for which there is room.
    #[inline]
    fn append(&mut self, len: usize) -> &mut [u8] {
        let start = self.used;
        self.used += len;
        &mut self.bytes[start..self.used]
    }
}

impl Drop for Room {
    #[inline]
    fn drop(&mut self) {
        let is_kept = !self.bytes.is_empty() && self.bytes.len() <= MAX_SPARE_BYTES;
        if is_kept && self.entries.capacity() <= MAX_SPARE_ENTRIES {
            let _ = SPARE.try_with(|kept| {
                let mut spares = kept.take();
                if spares.len() < MAX_SPARE {
                    let (bytes, mut entries) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.entries));
                    entries.clear();
                    spares.push(Spare { bytes, entries });
                }
                kept.set(spares);
            });
        }
    }
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
            room: Room::new(),
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
        let _ = self.room.make(count.saturating_add(4), count.saturating_mul(48).saturating_add(128), self.limit);
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
    pub fn try_set(&mut self, key: &str, hash: u64, value: &[u8], lossy: bool) -> Result<bool, OutOfMemory> {
        self.put(key, hash, Scalar::Encoded(value), lossy, false)
    }

    /// As `try_set`, of a value that is not encoded yet.
    #[inline]
    pub fn try_set_scalar(&mut self, key: &str, hash: u64, value: Scalar<'_>) -> Result<bool, OutOfMemory> {
        self.put(key, hash, value, false, false)
    }

    /// As `try_set_scalar`, of a key that is not in the set: it is not looked for.
    #[inline]
    pub fn try_add_scalar(&mut self, key: &str, hash: u64, value: Scalar<'_>) -> Result<bool, OutOfMemory> {
        debug_assert!(self.find(key, hash).is_none());
        self.put(key, hash, value, false, true)
    }

    /// As `try_add_scalar`, of a text: most values are.
    #[inline]
    pub fn try_add_text(&mut self, key: &str, hash: u64, text: &str) -> Result<bool, OutOfMemory> {
        debug_assert!(self.find(key, hash).is_none());
        if self.add_short(key, hash, text) { Ok(true) } else { self.put_any(key, hash, Scalar::Text(text), false) }
    }

    /// As `try_set_scalar`, of a text.
    #[inline]
    pub fn try_set_text(&mut self, key: &str, hash: u64, text: &str) -> Result<bool, OutOfMemory> {
        if self.is_new(hash) && self.add_short(key, hash, text) {
            return Ok(true);
        }
        self.put_any(key, hash, Scalar::Text(text), false)
    }

    /// Adds an attribute so short that each length takes one byte; false if it is longer, or room must be made.
    #[inline(always)]
    fn add_short(&mut self, key: &str, hash: u64, text: &str) -> bool {
        let (key, text) = (key.as_bytes(), text.as_bytes());
        let len = 6usize.saturating_add(key.len()).saturating_add(text.len());
        if len >= 0x80 || self.room.entries.len() >= self.room.plain {
            return false;
        }
        let start = self.room.used;
        let Some(out) = self.room.bytes.get_mut(start..start + len + 2) else { return false };
        let (heads, rest) = out.split_at_mut(4);
        heads.copy_from_slice(&[self.tag, len as u8, KEY, key.len() as u8]);
        let (key_out, rest) = rest.split_at_mut(key.len());
        let (heads, text_out) = rest.split_at_mut(4);
        heads.copy_from_slice(&[VALUE, text.len() as u8 + 2, wire::len_tag(any_value::STRING), text.len() as u8]);
        wire::copy_short(key_out, key);
        wire::copy_short(text_out, text);
        self.room.used = start + len + 2;
        self.room.entries.push(Entry { hash, start, live: true, lossy: false });
        self.live += 1;
        self.version.changes = self.version.changes.wrapping_add(1);
        true
    }

    #[inline]
    fn put(&mut self, key: &str, hash: u64, value: Scalar<'_>, lossy: bool, is_new: bool) -> Result<bool, OutOfMemory> {
        let value_len = value.encoded_len();
        // Four heads.
        let room = key.len() + value_len + 44;
        if self.room.entries.len() >= self.room.plain || self.room.left() < room || !(is_new || self.is_new(hash)) {
            return self.put_any(key, hash, value, lossy);
        }
        self.append(key, hash, value, value_len, lossy);
        Ok(true)
    }

    /// Whether no attribute has this hash.
    #[inline]
    fn is_new(&self, hash: u64) -> bool {
        self.room.entries.iter().all(|entry| entry.hash != hash)
    }

    /// As `put`, where room must be made, or the key may be there already.
    #[inline(never)]
    fn put_any(&mut self, key: &str, hash: u64, value: Scalar<'_>, lossy: bool) -> Result<bool, OutOfMemory> {
        let value_len = value.encoded_len();
        self.make_room(key.len() + value_len + 44).inspect_err(|OutOfMemory| self.count_dropped(1))?;
        let known = self.find(key, hash);
        let mut in_room = true;
        if known.is_some() || self.limit.is_some_and(|limit| self.live >= limit) {
            if self.limit == Some(0) {
                self.count_dropped(1);
                return Ok(false);
            }
            in_room = self.take_place_of(known);
        }
        self.append(key, hash, value, value_len, lossy);
        if self.room.entries.len() >= INDEX_FROM {
            self.keep_index(hash);
        }
        Ok(in_room)
    }

    /// Room for one more attribute of so many bytes.
    fn make_room(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        self.room.make(1, bytes, self.limit)?;
        if let Some(index) = &mut self.index
            && index.len() == index.capacity()
        {
            index.try_reserve(1)?;
        }
        Ok(())
    }

    /// Takes the attribute with the same key out, and the oldest one where there is no room; false in that case.
    fn take_place_of(&mut self, known: Option<usize>) -> bool {
        if let Some(known) = known {
            self.kill(known);
        }
        let is_full = self.limit.is_some_and(|limit| self.live >= limit);
        if is_full {
            while !self.room.entries[self.first_live].live {
                self.first_live += 1;
            }
            self.kill(self.first_live);
            self.first_live += 1;
            self.count_dropped(1);
        }
        self.compact();
        !is_full
    }

    #[inline]
    fn append(&mut self, key: &str, hash: u64, value: Scalar<'_>, value_len: usize, lossy: bool) {
        self.version.changes = self.version.changes.wrapping_add(1);
        self.live += 1;
        self.room.entries.push(Entry { hash, start: self.room.len(), live: true, lossy });
        let (key, len) = (key.as_bytes(), key.len() + value_len + 4);
        // Most are so short that each length takes one byte.
        if len < 0x80 {
            let out = self.room.append(len + 2);
            out[..4].copy_from_slice(&[self.tag, len as u8, KEY, key.len() as u8]);
            let (key_out, value_out) = out[4..].split_at_mut(key.len());
            wire::copy_short(key_out, key);
            value_out[..2].copy_from_slice(&[VALUE, value_len as u8]);
            value.encode_at(&mut value_out[2..]);
            return;
        }
        self.append_long(key, value, value_len);
    }

    #[inline(never)]
    fn append_long(&mut self, key: &[u8], value: Scalar<'_>, value_len: usize) {
        let heads = 2 + wire::varint_len(key.len() as u64) + wire::varint_len(value_len as u64);
        let len = heads + key.len() + value_len;
        let out = self.room.append(1 + wire::varint_len(len as u64) + len);
        let mut at = wire::head_at(out, 0, self.tag, len);
        at = wire::head_at(out, at, KEY, key.len());
        out[at..at + key.len()].copy_from_slice(key);
        at = wire::head_at(out, at + key.len(), VALUE, value_len);
        value.encode_at(&mut out[at..]);
    }

    #[cold]
    fn keep_index(&mut self, hash: u64) {
        match &mut self.index {
            Some(index) => {
                index.insert(hash, self.room.entries.len() - 1);
            }
            None => {
                let entries = self.room.entries.iter().enumerate();
                self.index = Some(Box::new(entries.map(|(i, entry)| (entry.hash, i)).collect()));
            }
        }
    }

    fn bytes_of(&self, at: usize) -> &[u8] {
        let end = self.room.entries.get(at + 1).map_or(self.room.len(), |next| next.start);
        &self.room.bytes()[self.room.entries[at].start..end]
    }

    fn key(&self, at: usize) -> &[u8] {
        match Fields::of(self.bytes_of(at)).next().map(|(_, message)| message) {
            Some(Value::Bytes(key_value)) => match Fields::of(key_value).next() {
                Some((1, Value::Bytes(key))) => key,
                _ => &[],
            },
            _ => &[],
        }
    }

    #[inline]
    fn find(&self, key: &str, hash: u64) -> Option<usize> {
        if let Some(index) = &self.index {
            let newest = *index.get(&hash)?;
            if self.is(newest, key, hash) {
                return Some(newest);
            }
            // The newest entry with this hash has another key (or is dead): two keys share a hash. Look at all.
        }
        (self.first_live..self.room.entries.len())
            .find(|at| self.room.entries[*at].hash == hash && self.is(*at, key, hash))
    }

    #[inline(never)]
    fn is(&self, at: usize, key: &str, hash: u64) -> bool {
        let entry = &self.room.entries[at];
        entry.live && entry.hash == hash && self.key(at) == key.as_bytes()
    }

    fn kill(&mut self, at: usize) {
        self.room.entries[at].live = false;
        self.live -= 1;
    }

    /// Gives back the room of dead entries once they are the larger part, so that a span whose attributes are set over
    /// and over stays bounded.
    fn compact(&mut self) {
        if self.room.entries.len() < 2 * self.live + INDEX_FROM {
            return;
        }
        let mut room = Room::new();
        // As much room after the live entries as there is now, which is enough for the next one.
        if room.make(self.live + 1, self.wire_len() + self.room.left(), self.limit).is_err() {
            return;
        }
        for at in self.live_ones() {
            let (start, bytes) = (room.len(), self.bytes_of(at));
            room.append(bytes.len()).copy_from_slice(bytes);
            room.entries.push(Entry { start, ..self.room.entries[at] });
        }
        self.room = room;
        self.first_live = 0;
        self.index = None;
    }

    /// Bytes that `write` appends.
    #[inline]
    pub fn wire_len(&self) -> usize {
        if self.live == self.room.entries.len() {
            return self.room.len();
        }
        self.live_ones().map(|at| self.bytes_of(at).len()).sum()
    }

    /// What `write` appends.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        if self.live == self.room.entries.len() {
            return Cow::Borrowed(self.room.bytes());
        }
        let mut bytes = Vec::with_capacity(self.wire_len());
        self.write(&mut bytes);
        Cow::Owned(bytes)
    }

    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.live == self.room.entries.len() {
            out.extend_from_slice(self.room.bytes());
            return;
        }
        self.live_ones().for_each(|at| out.extend_from_slice(self.bytes_of(at)));
    }

    pub fn iter(&self) -> impl Iterator<Item = Attribute<'_>> {
        self.live_ones().filter_map(|at| {
            let Some((_, Value::Bytes(key_value))) = Fields::of(self.bytes_of(at)).next() else { return None };
            let (key, value) = key_value_parts(key_value)?;
            Some(Attribute { key, value, lossy: self.room.entries[at].lossy })
        })
    }

    /// Positions in `entries`.
    fn live_ones(&self) -> impl Iterator<Item = usize> {
        (0..self.room.entries.len()).filter(|at| self.room.entries[*at].live)
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
        const COUNT: u8 = if cfg!(miri) { 30 } else { 200 };
        let mut attributes = Attributes::new(9, None);
        for i in 0..COUNT {
            attributes.set(&format!("k{i}"), 7, &int(i % 100), false);
        }
        for i in 0..COUNT {
            attributes.set(&format!("k{i}"), 7, &int(1), false);
        }
        assert_eq!(attributes.len(), usize::from(COUNT));
        assert!(attributes.iter().all(|a| a.value[1] == 1));
    }

    #[test]
    fn nothing_of_attributes_that_are_gone_is_left_in_their_room() {
        for round in 0..3 * MAX_SPARE as u8 {
            let kept: Vec<Attributes> = (0..=round % 20)
                .map(|number| {
                    let mut attributes = Attributes::new(9, None);
                    attributes.set("of this round", 1, &int(number), false);
                    assert_eq!(keys(&attributes), [("of this round".into(), number)]);
                    attributes
                })
                .collect();
            let mut other = Attributes::new(9, Some(1));
            for number in 0..60 {
                other.set(&format!("{number}"), number, &int(1), false);
            }
            assert_eq!(keys(&other), [("59".into(), 1)]);
            assert!(kept.iter().all(|attributes| attributes.wire_len() == attributes.bytes().len()));
        }
    }

    #[test]
    fn setting_one_key_for_ever_stays_small() {
        let mut attributes = Attributes::new(9, Some(4));
        for i in 0..if cfg!(miri) { 300 } else { 100_000u32 } {
            attributes.set(["a", "b", "c"][i as usize % 3], u64::from(i % 3), &int(i as u8 & 0x7f), false);
        }
        assert_eq!(attributes.len(), 3);
        assert!(attributes.room.len() < 4096 && attributes.room.entries.len() < 128);
    }
}
