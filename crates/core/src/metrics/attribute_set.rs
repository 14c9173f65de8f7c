//! The attributes that tell one series of a metric from another, and how they are compared with those of a measurement.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::sync::OnceLock;

pub use crate::otlp::Scalar;
use crate::otlp::{OutOfMemory, len_tag, put_head, varint_len};

/// One attribute of a measurement, borrowed from whoever measured.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    pub key: &'a str,
    pub value: Scalar<'a>,
}

/// Appends a field. Asks for no more room than it needs.
fn put(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    put_head(out, len_tag(field), bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn framed_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Both zeros are one value, as in Python.
#[inline]
fn bits(value: f64) -> u64 {
    (value + 0.0).to_bits()
}

/// The hash of a set, the same in every order of its items.
#[inline]
pub fn hash_of(items: &[Item<'_>]) -> u64 {
    // Measured values come from whoever sends requests; with a hash that they could compute they could slow it down.
    static SEED: OnceLock<foldhash::quality::RandomState> = OnceLock::new();
    let seed = SEED.get_or_init(foldhash::quality::RandomState::default);
    items.iter().fold(0, |sum: u64, item| {
        let mut hasher = seed.build_hasher();
        hasher.write(item.key.as_bytes());
        hash_value(item.value, &mut hasher);
        sum.wrapping_add(hasher.finish())
    })
}

#[inline]
fn hash_value(value: Scalar<'_>, hasher: &mut impl Hasher) {
    match value {
        Scalar::Null => hasher.write_u8(0),
        Scalar::Bool(value) => hasher.write_u8(1 + u8::from(value)),
        Scalar::Int(value) => hasher.write_i64(value),
        Scalar::Double(value) => hasher.write_u64(bits(value)),
        Scalar::Text(value) => hasher.write(value.as_bytes()),
        Scalar::Bytes(value) | Scalar::Encoded(value) => hasher.write(value),
    }
}

/// The attributes of a series: encoded once, for every point of it.
#[derive(Default)]
pub struct AttributeSet {
    hash: u64,
    /// `KeyValue` messages, framed as the field of the points that they will be in.
    wire: Box<[u8]>,
    items: Box<[Stored]>,
}

struct Stored {
    key: Range<u32>,
    value: Kind,
}

/// As `Scalar`; bytes are in the wire form.
enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Double(u64),
    Text(Range<u32>),
    Bytes(Range<u32>),
    Encoded(Range<u32>),
}

impl AttributeSet {
    /// `hash` is `hash_of(items)`; `field` is the field of the points that the `KeyValue`s go into.
    ///
    /// Fails where there is no memory for it, or where it is too large for any receiver.
    pub fn new(items: &[Item<'_>], hash: u64, field: u8) -> Result<Self, OutOfMemory> {
        let (mut wire, mut stored) = (Vec::new(), Vec::new());
        let wire_len = wire_len(items);
        // Its places are 32-bit numbers, and so is the length of a message in protobuf.
        if u32::try_from(wire_len).is_err() {
            return Err(OutOfMemory);
        }
        wire.try_reserve_exact(wire_len)?;
        stored.try_reserve_exact(items.len())?;
        stored.extend(items.iter().map(|item| Stored::append(item, field, &mut wire)));
        Ok(Self { hash, wire: wire.into(), items: stored.into() })
    }

    /// What a set of these items takes in memory, about.
    pub fn size_of(items: &[Item<'_>]) -> usize {
        size_of::<Self>() + wire_len(items) + items.len() * size_of::<Stored>()
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// Whether these are the same attributes, in whatever order.
    #[inline]
    pub fn is(&self, items: &[Item<'_>], hash: u64) -> bool {
        self.hash == hash
            && self.items.len() == items.len()
            && std::iter::zip(&self.items, items).all(|(stored, item)| {
                // Whoever measures again mostly does it in the same order.
                if self.part(&stored.key) == item.key.as_bytes() {
                    self.equals(stored, item)
                } else {
                    self.items
                        .iter()
                        .any(|other| self.part(&other.key) == item.key.as_bytes() && self.equals(other, item))
                }
            })
    }

    #[inline]
    fn equals(&self, stored: &Stored, item: &Item<'_>) -> bool {
        match (&stored.value, item.value) {
            (Kind::Null, Scalar::Null) => true,
            (Kind::Bool(a), Scalar::Bool(b)) => *a == b,
            (Kind::Int(a), Scalar::Int(b)) => *a == b,
            (Kind::Double(a), Scalar::Double(b)) => *a == bits(b),
            (Kind::Text(a), Scalar::Text(b)) => self.part(a) == b.as_bytes(),
            (Kind::Bytes(a), Scalar::Bytes(b)) | (Kind::Encoded(a), Scalar::Encoded(b)) => self.part(a) == b,
            _ => false,
        }
    }

    #[inline]
    fn part(&self, range: &Range<u32>) -> &[u8] {
        &self.wire[range.start as usize..range.end as usize]
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the set has this key.
    pub fn has(&self, key: &str) -> bool {
        self.items.iter().any(|stored| self.part(&stored.key) == key.as_bytes())
    }
}

/// How long the `KeyValue` message of an item is.
fn message_len(item: &Item<'_>) -> usize {
    framed_len(item.key.len()) + framed_len(item.value.encoded_len())
}

/// How long the framed messages of the items are.
fn wire_len(items: &[Item<'_>]) -> usize {
    items.iter().map(|item| framed_len(message_len(item))).sum()
}

impl Stored {
    fn append(item: &Item<'_>, field: u8, wire: &mut Vec<u8>) -> Self {
        put_head(wire, len_tag(field), message_len(item) as u64);
        put(wire, 1, item.key.as_bytes());
        let key_end = wire.len();
        put_head(wire, len_tag(2), item.value.encoded_len() as u64);
        item.value.encode(wire);
        let end = wire.len();
        // A value's own bytes are the last ones; in front of them are tags and lengths.
        let last = |bytes: &[u8]| (end - bytes.len()) as u32..end as u32;
        Self {
            key: (key_end - item.key.len()) as u32..key_end as u32,
            value: match item.value {
                Scalar::Null => Kind::Null,
                Scalar::Bool(value) => Kind::Bool(value),
                Scalar::Int(value) => Kind::Int(value),
                Scalar::Double(value) => Kind::Double(bits(value)),
                Scalar::Text(text) => Kind::Text(last(text.as_bytes())),
                Scalar::Bytes(bytes) => Kind::Bytes(last(bytes)),
                Scalar::Encoded(bytes) => Kind::Encoded(last(bytes)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(items: &[Item<'_>]) -> AttributeSet {
        AttributeSet::new(items, hash_of(items), 7).unwrap()
    }

    fn item<'a>(key: &'a str, value: Scalar<'a>) -> Item<'a> {
        Item { key, value }
    }

    #[test]
    fn a_set_equals_itself_in_every_order_and_nothing_else() {
        let items = [
            item("method", Scalar::Text("GET")),
            item("status", Scalar::Int(200)),
            item("ratio", Scalar::Double(0.0)),
            item("cached", Scalar::Bool(true)),
            item("none", Scalar::Null),
            item("key", Scalar::Bytes(b"GET")),
            item("list", Scalar::Encoded(&[0x2a, 0])),
        ];
        let stored = set(&items);
        let mut reversed = items;
        reversed.reverse();
        reversed[4] = item("ratio", Scalar::Double(-0.0));
        for same in [items, reversed] {
            assert!(stored.is(&same, hash_of(&same)));
        }
        let others = [Scalar::Bool(true), Scalar::Double(200.0), Scalar::Text("200"), Scalar::Int(-200), Scalar::Null];
        for other in others {
            let mut changed = items;
            changed[1].value = other;
            assert!(!stored.is(&changed, hash_of(&changed)));
            // Not even where the hash does not tell.
            assert!(!stored.is(&changed, stored.hash()));
        }
        assert!(!stored.is(&items[..6], stored.hash()));
        assert!(stored.has("cached") && !stored.has("cache"));
    }

    #[test]
    fn a_value_is_the_same_from_its_message() {
        let scalars = [
            Scalar::Null,
            Scalar::Bool(false),
            Scalar::Bool(true),
            Scalar::Int(-5),
            Scalar::Double(-0.5),
            Scalar::Text(""),
            Scalar::Text("text"),
            Scalar::Bytes(b"bytes"),
            Scalar::Encoded(&[0x2a, 2, 0x0a, 0]),
        ];
        for scalar in scalars {
            let mut message = Vec::new();
            scalar.encode(&mut message);
            assert_eq!(message.len(), scalar.encoded_len());
            let items = [item("key", scalar)];
            let again = [item("key", Scalar::of_message(&message))];
            assert!(set(&items).is(&again, hash_of(&again)), "{message:?}");
        }
    }

    #[test]
    fn swapped_values_are_another_set() {
        let one = [item("a", Scalar::Int(1)), item("b", Scalar::Int(2))];
        let other = [item("a", Scalar::Int(2)), item("b", Scalar::Int(1))];
        assert!(!set(&one).is(&other, hash_of(&other)));
        assert!(!set(&one).is(&other, set(&one).hash()));
    }
}
