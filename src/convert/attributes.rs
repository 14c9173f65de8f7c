//! Attributes set from Python: converted first, then put in place, so that no lock is held while Python code can run.

use std::collections::HashSet;

use otel_rs_core::otlp::{Attributes, OutOfMemory};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyDict, PyString};

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
            Err(OutOfMemory) => return Put { outcome: Outcome::NoMemory, _replaced: original, _evicted: Vec::new() },
        };
        let mut replaced = None;
        if let Some(originals) = &mut self.originals
            && let Some(at) = originals.iter().position(|(k, _)| &**k == key)
        {
            replaced = Some(originals.swap_remove(at).1);
        }
        let mut evicted = Vec::new();
        if let Some(original) = original {
            let originals = self.originals.get_or_insert_default();
            originals.push((key.into(), original));
            // Many belong to attributes that were evicted by now: drop those.
            if originals.len() > 2 * self.wire.len() + 8 {
                let kept = self.wire.iter().filter(|attribute| attribute.lossy).map(|attribute| attribute.key);
                let kept: HashSet<&str> = kept.collect();
                evicted = originals.extract_if(.., |(key, _)| !kept.contains(&**key)).collect();
            }
        }
        Put { outcome: Outcome::of(in_room), _replaced: replaced, _evicted: evicted }
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
        let text = plain_key(key)?;
        with_scratch(|scratch| {
            let plain = value::put_simple(value, value_len, scratch);
            plain.then(|| self.wire.try_set(text, hash(key), scratch, false).unwrap_or(false))
        })
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
        let all_plain = with_critical_section(dict, || {
            with_scratch(|scratch| {
                each_simple(dict, |key, value| {
                    scratch.clear();
                    match plain_key(key) {
                        Some(text) if value::put_simple(value, value_len, scratch) => {
                            let set = self.wire.try_set(text, hash(key), scratch, false);
                            worst = worst.max(set.map_or(Outcome::NoMemory, Outcome::of));
                            true
                        }
                        _ => false,
                    }
                })
            })
        });
        if all_plain {
            Put { outcome: worst, _replaced: None, _evicted: Vec::new() }.log(dict.py());
        }
        all_plain
    }
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

/// Converts a pair that needs no Python code for it, and calls `put` with what puts it in place; None if the pair
/// is not plain. Most attributes come this way: it allocates nothing.
#[inline]
pub fn with_plain<R>(
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    value_len: Option<usize>,
    put: impl FnOnce(&dyn Fn(&mut PyAttributes) -> Put) -> R,
) -> Option<R> {
    let key = key.cast_exact::<PyString>().ok()?;
    let text = plain_key(key)?;
    with_scratch(|scratch| {
        let plain = value::put_simple(value, value_len, scratch);
        plain.then(|| put(&|attributes| attributes.put(text, hash(key), scratch, None)))
    })
}

/// Calls `take` for each pair of a dict whose keys are plain texts until it returns false; whether it took all.
///
/// `take` must not run Python code while it returns true.
pub fn each_simple<'py>(
    dict: &Bound<'py, PyDict>,
    mut take: impl FnMut(&Bound<'py, PyString>, &Bound<'py, PyAny>) -> bool,
) -> bool {
    let py = dict.py();
    let (mut position, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    #[allow(unsafe_code)]
    // SAFETY: `dict` is a dict. The references are borrowed from it, and it cannot change meanwhile: `take` runs no
    // Python code before it returns false, and in a free-threaded interpreter the caller holds the dict's critical
    // section.
    unsafe {
        while ffi::PyDict_Next(dict.as_ptr(), &mut position, &mut key, &mut value) != 0 {
            let key = Borrowed::from_ptr(py, key);
            let value = Borrowed::from_ptr(py, value);
            let Ok(key) = key.cast_exact::<PyString>() else { return false };
            if !take(&key, &value) {
                return false;
            }
        }
    }
    true
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
    key.to_str().ok().filter(|text| !text.is_empty())
}

/// Python's own hash of a text, which it keeps: equal keys have equal hashes within a process.
#[inline]
fn hash(key: &Bound<'_, PyString>) -> u64 {
    #[allow(unsafe_code)]
    // SAFETY: `key` is an exact str; hashing one cannot fail and runs no Python code.
    let hash = unsafe { ffi::PyObject_Hash(key.as_ptr()) };
    hash as u64
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

/// The result of putting an attribute in place; to be handled after the lock is released.
#[must_use]
pub struct Put {
    outcome: Outcome,
    _replaced: Option<Py<PyAny>>,
    _evicted: Originals,
}

impl Put {
    pub fn log(self, py: Python<'_>) {
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
        attributes.put(key, hash(&self.key), &self.value, self.original)
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
