//! Attributes set from Python: converted first, then put in place, so that no lock is held while Python code can run.

use std::collections::HashSet;

use otel_rs_core::otlp::{Attributes, OutOfMemory, Scalar, len_tag, make_room, put_key_value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use smallvec::SmallVec;

use crate::convert::pairs::Pairs;
use crate::convert::read::read;
use crate::convert::scratch::with_scratch;
use crate::convert::value::{self, Fidelity};
use crate::py::exception;
use crate::py::log;
use crate::py::once::intern;
use crate::py::text;
use crate::py::upstream::upstream;

/// Attributes in their wire form, and the Python values that the wire form cannot hold exactly.
pub struct PyAttributes {
    pub wire: Attributes,
    /// Boxed, because there are next to never any.
    originals: Option<Box<Originals>>,
}

/// Values as they were set, by key.
pub type Originals = Vec<(Box<str>, Py<PyAny>)>;

impl PyAttributes {
    pub const fn new(field: u8, limit: Option<usize>) -> Self {
        Self { wire: Attributes::new(field, limit), originals: None }
    }

    pub fn is_empty(&self) -> bool {
        self.wire.is_empty() && self.originals.is_none()
    }

    /// Takes the originals out, to be kept with a message made of the wire form.
    pub fn take_originals(&mut self) -> Option<Box<Originals>> {
        self.originals.take()
    }

    pub fn originals(&self) -> &[(Box<str>, Py<PyAny>)] {
        self.originals.as_ref().map_or(&[], |originals| originals)
    }

    /// Puts a converted attribute in place. Runs no Python code; what it returns must be dropped after the lock.
    #[must_use = "dropping the replaced value can run Python code: do it without a lock"]
    fn put(&mut self, key: &str, hash: u64, value: &[u8], original: Option<Py<PyAny>>) -> Put {
        let in_room = match self.wire.try_set(key, hash, value, original.is_some()) {
            Ok(in_room) => in_room,
            // Nothing was replaced.
            Err(OutOfMemory) => {
                let unused = original.map(|original| Box::new(Removed { _value: Some(original), _evicted: None }));
                return Put { outcome: Outcome::NoMemory, _removed: unused };
            }
        };
        let mut removed = self.remove_original(key);
        if let Some(original) = original {
            let originals = self.originals.get_or_insert_default();
            originals.push((key.into(), original));
            // Many belong to attributes that were evicted by now: drop those.
            if originals.len() > 2 * self.wire.len() + 8 {
                let kept = self.wire.iter().filter(|attribute| attribute.lossy).map(|attribute| attribute.key);
                let kept: HashSet<&str> = kept.collect();
                let evicted = originals.extract_if(.., |(key, _)| !kept.contains(&**key)).collect();
                removed.get_or_insert_default()._evicted = Some(evicted);
            }
        }
        Put { outcome: Outcome::of(in_room), _removed: removed }
    }

    #[inline]
    fn remove_original(&mut self, key: &str) -> Option<Box<Removed>> {
        let originals = self.originals.as_mut()?;
        let at = originals.iter().position(|(known, _)| &**known == key)?;
        Some(Box::new(Removed { _value: Some(originals.swap_remove(at).1), _evicted: None }))
    }

    /// Sets an attribute that needs no Python code for it, on a set that no other thread can see yet. None if it is not
    /// plain; false if the oldest attribute had to go, or this one could not be taken.
    #[inline]
    pub fn set_plain(
        &mut self,
        key: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
        value_len: Option<usize>,
    ) -> Option<bool> {
        let Plain { key, hash, value } = Plain::of(key, value, value_len)?;
        Some(self.wire.try_set_scalar(key, hash, value).unwrap_or(false))
    }

    /// Sets all attributes of a mapping on a set that no other thread can see yet.
    pub fn extend(&mut self, attributes: &Bound<'_, PyAny>, value_len: Option<usize>) {
        if let Some(dict) = dict_of(attributes) {
            self.wire.reserve(dict.len());
            if self.extend_simple(&dict, value_len) {
                return;
            }
            // Something is not plain: start again the general way.
            self.wire.clear();
        }
        let limit = self.wire.limit();
        let dropped = each(attributes, limit, |key, value| match convert(key, &value, value_len) {
            Some(converted) => converted.put_into(self).log(attributes.py()),
            None => self.wire.count_dropped(1),
        });
        self.wire.count_dropped(dropped);
    }

    /// The usual case: a dict with plain keys and values. False, with any number of them set, if one is not plain.
    fn extend_simple(&mut self, dict: &Bound<'_, PyDict>, value_len: Option<usize>) -> bool {
        let mut worst = Outcome::InRoom;
        // The keys of a dict differ from one another.
        let all_new = self.wire.is_empty();
        let all_plain = Pairs::of(dict).each_simple(|key, value| {
            let Some(plain) = Plain::of(key, value, value_len) else { return false };
            let outcome = if all_new {
                plain.add_to(self).outcome
            } else {
                let set = self.wire.try_set_scalar(plain.key, plain.hash, plain.value);
                set.map_or(Outcome::NoMemory, Outcome::of)
            };
            worst = worst.max(outcome);
            true
        });
        if all_plain {
            Put { outcome: worst, _removed: None }.log(dict.py());
        }
        all_plain
    }
}

/// Appends the attributes of a mapping, each as a field of a message.
pub fn frame(attributes: &Bound<'_, PyAny>, field: u8, out: &mut Vec<u8>) {
    let start = out.len();
    if let Some(dict) = dict_of(attributes)
        && frame_simple(&dict, field, out)
    {
        return;
    }
    out.truncate(start);
    let mut converted = PyAttributes::new(field, None);
    converted.extend(attributes, None);
    converted.wire.write(out);
}

/// False, with any number of them appended, if one is not plain. A dict has each key once, so nothing is looked for.
fn frame_simple(dict: &Bound<'_, PyDict>, field: u8, out: &mut Vec<u8>) -> bool {
    with_scratch(|scratch| {
        Pairs::of(dict).each_simple(|key, value| {
            let (Some(text), Some(value)) = (plain_key(key), value::scalar(value, None)) else { return false };
            scratch.clear();
            // Four heads.
            let has_room = make_room(scratch, value.encoded_len()).is_ok()
                && make_room(out, text.len() + value.encoded_len() + 44).is_ok();
            if has_room {
                value.encode(scratch);
                put_key_value(out, len_tag(field), text, scratch);
            }
            has_room
        })
    })
}

/// The dict that a mapping is, or that it wraps.
fn dict_of<'py>(attributes: &Bound<'py, PyAny>) -> Option<Bound<'py, PyDict>> {
    if let Ok(dict) = attributes.cast_exact::<PyDict>() {
        return Some(dict.clone());
    }
    let py = attributes.py();
    // Its own `items()` is Python code that takes a lock for each pair.
    if attributes.get_type().is(upstream(py).ok()?.bounded_attributes.bind(py)) {
        return attributes.getattr(intern!(py, "_dict")).ok()?.cast_into_exact().ok();
    }
    None
}

/// An attribute that needs no Python code for it, as most, borrowed from its key and its value.
pub struct Plain<'a> {
    key: &'a str,
    hash: u64,
    value: Scalar<'a>,
}

impl<'a> Plain<'a> {
    /// None if it is not plain.
    #[inline]
    pub fn of(key: &'a Bound<'_, PyString>, value: &'a Bound<'_, PyAny>, value_len: Option<usize>) -> Option<Self> {
        Some(Self { key: plain_key(key)?, hash: text::hash(key), value: value::scalar(value, value_len)? })
    }

    /// All attributes of a dict; None if one is not plain.
    #[inline]
    pub fn all_of(pairs: &'a Pairs<'_, '_>, value_len: Option<usize>) -> Option<SmallVec<[Self; 16]>> {
        let mut all = SmallVec::new();
        let are_plain = pairs.each_simple(|key, value| {
            let Some(plain) = Plain::of(key, value, value_len) else { return false };
            #[allow(unsafe_code)]
            // SAFETY: the pairs, or with the GIL the dict that they are borrowed from, keep keys and values alive for
            // `'a`: whoever has the attributes runs no Python code that could change the dict.
            all.push(unsafe { std::mem::transmute::<Plain<'_>, Plain<'a>>(plain) });
            true
        });
        are_plain.then_some(all)
    }

    /// Puts it in place, where its key has no value yet. Runs no Python code.
    #[inline]
    pub fn add_to(&self, attributes: &mut PyAttributes) -> Put {
        let added = match self.value {
            Scalar::Text(text) => attributes.wire.try_add_text(self.key, self.hash, text),
            value => attributes.wire.try_add_scalar(self.key, self.hash, value),
        };
        Put { outcome: added.map_or(Outcome::NoMemory, Outcome::of), _removed: None }
    }

    /// Puts it in place. Runs no Python code; what it returns must be dropped after the lock.
    #[inline]
    pub fn put_into(&self, attributes: &mut PyAttributes) -> Put {
        let set = match self.value {
            Scalar::Text(text) => attributes.wire.try_set_text(self.key, self.hash, text),
            value => attributes.wire.try_set_scalar(self.key, self.hash, value),
        };
        match set {
            Ok(in_room) => Put { outcome: Outcome::of(in_room), _removed: attributes.remove_original(self.key) },
            Err(OutOfMemory) => Put { outcome: Outcome::NoMemory, _removed: None },
        }
    }
}

/// Calls `take` for each pair of a mapping, its keys cleaned as upstream does it in mappings, and returns how many were
/// dropped. What is no mapping, or raises, costs one log line. With a limit of zero all are dropped.
pub fn each<'py>(
    attributes: &Bound<'py, PyAny>,
    limit: Option<usize>,
    mut take: impl FnMut(Bound<'py, PyString>, Bound<'py, PyAny>),
) -> u32 {
    let py = attributes.py();
    let mut pairs = || -> PyResult<u32> {
        if !value::is_mapping(attributes)? {
            let message = format!("attributes must be a mapping, not {}", text::type_name(attributes));
            return Err(pyo3::exceptions::PyTypeError::new_err(message));
        }
        if limit == Some(0) {
            return Ok(u32::try_from(attributes.len()?).unwrap_or(u32::MAX));
        }
        let swallow = |error| {
            exception::swallow(py, "Attribute dropped, its key could not be converted", error);
            Ok(())
        };
        let items = value::clean_items(attributes, swallow)?;
        items.pairs.into_iter().for_each(|(key, value)| take(key, value));
        Ok(items.dropped)
    };
    pairs().unwrap_or_else(|error| {
        exception::swallow(py, "Attributes ignored", error);
        0
    })
}

/// A key that needs no cleaning.
#[inline]
pub fn plain_key<'a>(key: &'a Bound<'_, PyString>) -> Option<&'a str> {
    text::plain_utf8(key).filter(|text| !text.is_empty())
}

/// An attribute that is ready to be put in place.
pub struct Converted<'py> {
    key: Bound<'py, PyString>,
    value: Vec<u8>,
    original: Option<Py<PyAny>>,
}

/// From good to bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    InRoom,
    OldestDropped,
    NoMemory,
}

impl Outcome {
    fn of(in_room: bool) -> Self {
        if in_room { Self::InRoom } else { Self::OldestDropped }
    }
}

/// Values whose attributes are gone.
#[derive(Default)]
struct Removed {
    _value: Option<Py<PyAny>>,
    _evicted: Option<Originals>,
}

/// The result of putting an attribute in place; to be handled after the lock is released.
#[must_use]
pub struct Put {
    outcome: Outcome,
    /// Boxed, because there are next to never any.
    _removed: Option<Box<Removed>>,
}

impl Put {
    #[inline]
    pub fn log(self, py: Python<'_>) {
        if self.outcome != Outcome::InRoom {
            self.warn(py);
        }
    }

    #[cold]
    fn warn(self, py: Python<'_>) {
        match self.outcome {
            Outcome::InRoom => {}
            Outcome::OldestDropped => log::warning(
                py,
                "Attributes dict is full. Dropping the oldest key-value pair from attributes to make space for the \
                 new key-value pair.",
            ),
            Outcome::NoMemory => log::warning(py, &format!("Attribute dropped, {OutOfMemory}")),
        }
    }
}

impl Converted<'_> {
    pub fn put_into(self, attributes: &mut PyAttributes) -> Put {
        // `convert` has made sure that both are UTF-8.
        let key = self.key.to_str().unwrap_or_default();
        attributes.put(key, text::hash(&self.key), &self.value, self.original)
    }
}

impl<'py> Converted<'py> {
    /// Sets the attribute in a Python mapping instead.
    pub fn set_in(self, mapping: &Bound<'py, PyAny>) -> PyResult<()> {
        match self.original {
            Some(original) => mapping.set_item(self.key, original),
            None => mapping.set_item(self.key, read(mapping.py(), &self.value)?),
        }
    }
}

/// Converts a value, and keeps the original if the wire form loses something. None, and one log line, if Python code
/// of the value raised.
pub fn convert<'py>(
    key: Bound<'py, PyString>,
    value: &Bound<'py, PyAny>,
    value_len: Option<usize>,
) -> Option<Converted<'py>> {
    let py = value.py();
    let mut encoded = Vec::new();
    let converted = value::put_value(value, value_len, &mut encoded).and_then(|fidelity| match fidelity {
        Fidelity::Exact => Ok(None),
        Fidelity::Lossy => value::clean(value, value_len).map(|cleaned| Some(cleaned.unbind())),
    });
    match converted {
        Ok(original) => {
            // An exact text with valid UTF-8: what `put_into` relies on.
            let key = if key.is_exact_instance_of::<PyString>() && key.to_str().is_ok() {
                key
            } else {
                PyString::new(py, &text::utf8(&key))
            };
            Some(Converted { key, value: encoded, original })
        }
        Err(error) => {
            let message = format!("Attribute `{}` dropped, its value could not be converted", text::utf8(&key));
            exception::swallow(py, &message, error);
            None
        }
    }
}
