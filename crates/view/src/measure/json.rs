//! The walk over a JSON document.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::budget::{Budget, Unfit};
use super::shapes::{Content, Shape};

/// serde keeps the inside of some messages as a tree of values before it makes the message of it; so much for a value
/// in that tree, and for an object's or array's room for its first few.
const VALUE: usize = 32;
const OBJECT: usize = 256;

pub fn walk(bytes: &[u8], shape: &'static Shape, budget: &mut Budget) -> Result<(), Unfit> {
    let mut unfit = None;
    let value = Value { expected: Expected::Object(shape), budget, unfit: &mut unfit };
    // Any other error is in the document, and the decoder stops at the same place with a better message.
    let _ = value.deserialize(&mut serde_json::Deserializer::from_slice(bytes));
    unfit.map_or(Ok(()), Err)
}

#[derive(Clone, Copy)]
enum Expected {
    Object(&'static Shape),
    Objects(&'static Shape),
    Anything,
}

impl Expected {
    fn of(content: Content) -> Self {
        match content {
            Content::One(shape) => Self::Object(shape),
            Content::Many(shape) => Self::Objects(shape),
            Content::Strings | Content::Varints | Content::Fixed => Self::Anything,
        }
    }
}

struct Value<'a> {
    expected: Expected,
    budget: &'a mut Budget,
    unfit: &'a mut Option<Unfit>,
}

impl Value<'_> {
    fn charge<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        self.budget.charge(bytes).map_err(|unfit| self.refuse(unfit))
    }

    fn refuse<E: Error>(&mut self, unfit: Unfit) -> E {
        *self.unfit = Some(unfit);
        E::custom("unfit")
    }

    fn within(&mut self, expected: Expected) -> Value<'_> {
        Value { expected, budget: self.budget, unfit: self.unfit }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E: Error>(mut self, _: bool) -> Result<(), E> {
        self.charge(VALUE)
    }

    fn visit_i64<E: Error>(mut self, _: i64) -> Result<(), E> {
        self.charge(VALUE)
    }

    fn visit_u64<E: Error>(mut self, _: u64) -> Result<(), E> {
        self.charge(VALUE)
    }

    fn visit_f64<E: Error>(mut self, _: f64) -> Result<(), E> {
        self.charge(VALUE)
    }

    fn visit_unit<E: Error>(mut self) -> Result<(), E> {
        self.charge(VALUE)
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.charge(VALUE + text.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.charge(OBJECT)?;
        let (expected, size) = match self.expected {
            Expected::Objects(shape) => (Expected::Object(shape), shape.size),
            Expected::Anything => (Expected::Anything, VALUE),
            Expected::Object(_) => return Err(self.refuse(Unfit::ArrayForObject)),
        };
        let mut count = 0;
        while items.next_element_seed(self.within(expected))?.is_some() {
            if let Err(unfit) = self.budget.charge_item(count, size) {
                return Err(self.refuse(unfit));
            }
            count += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        self.charge(OBJECT)?;
        let shape = match self.expected {
            Expected::Object(shape) => Some(shape),
            Expected::Objects(_) | Expected::Anything => None,
        };
        while let Some((key_bytes, expected)) = entries.next_key_seed(Key(shape))? {
            self.charge(VALUE + key_bytes)?;
            entries.next_value_seed(self.within(expected))?;
        }
        Ok(())
    }
}

/// An object's key: its length, and what its value is.
struct Key(Option<&'static Shape>);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = (usize, Expected);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = (usize, Expected);

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        let known = self.0.and_then(|shape| shape.by_json_name(key));
        Ok((key.len(), known.map_or(Expected::Anything, |field| Expected::of(field.content))))
    }
}
