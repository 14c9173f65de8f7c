//! A measurement's attributes, borrowed from the dict that they are in.

use otel_rs_core::metrics::{Item, Scalar};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyString};
use smallvec::SmallVec;

use crate::convert::attributes::{PyAttributes, plain_key};
use crate::convert::pairs::Pairs;
use crate::convert::read::read;
use crate::convert::value::scalar;
use crate::py::log;

/// A measurement seldom has more.
type Items<'a> = SmallVec<[Item<'a>; 16]>;

/// Calls `take` with the attributes. `take` must not run Python code.
#[inline]
pub fn with_items<R>(attributes: Option<&Bound<'_, PyAny>>, take: impl FnOnce(&[Item<'_>]) -> R) -> R {
    let Some(attributes) = attributes else { return take(&[]) };
    if let Ok(dict) = attributes.cast_exact::<PyDict>() {
        let pairs = Pairs::of(dict);
        let mut items = Items::new();
        if plain_items(&pairs, &mut items) {
            return take(&items);
        }
    }
    with_cleaned(attributes, take)
}

/// Keys of attributes.
pub struct KeySet(Vec<(Py<PyString>, String)>);

impl KeySet {
    pub fn of(keys: &Bound<'_, PyFrozenSet>) -> PyResult<Self> {
        let interned = |key: Bound<'_, PyAny>| {
            let text: String = key.extract()?;
            Ok((PyString::intern(key.py(), &text).unbind(), text))
        };
        keys.iter().map(interned).collect::<PyResult<_>>().map(Self)
    }

    #[inline]
    fn contains_interned(&self, key: &Bound<'_, PyString>) -> bool {
        self.0.iter().any(|(known, _)| known.as_ptr() == key.as_ptr())
    }

    #[inline]
    fn contains(&self, key: &Bound<'_, PyString>, text: &str) -> bool {
        self.contains_interned(key) || self.0.iter().any(|(_, known)| known.as_str() == text)
    }
}

/// Attributes of which a part is measured with.
#[derive(Clone, Copy)]
pub enum Given<'a, 'py> {
    Dict(&'a Bound<'py, PyDict>),
    /// With interned keys.
    Pairs(&'a [(Py<PyString>, Py<PyAny>)]),
}

/// Calls `take` with those attributes that have these keys, those of the first set first, and with one more. False, and
/// it was not called, if one is not plain. `take` must not run Python code.
#[inline]
pub fn with_selected_items<'py>(
    py: Python<'py>,
    given: Given<'_, 'py>,
    keys: &[KeySet],
    more: Option<(&Bound<'py, PyString>, &Bound<'py, PyAny>)>,
    take: &mut dyn FnMut(&[Item<'_>]),
) -> bool {
    let last = match more.map(|(key, value)| (plain_key(key), scalar(value, None))) {
        None => None,
        Some((Some(key), Some(value))) => Some(Item { key, value }),
        Some(_) => return false,
    };
    let pairs = match given {
        Given::Dict(dict) => Some(Pairs::of(dict)),
        Given::Pairs(_) => None,
    };
    let mut items = Items::new();
    for (at, set) in keys.iter().enumerate() {
        let mut select = |key: &Bound<'py, PyString>, value: &Bound<'py, PyAny>| {
            let Some(text) = plain_key(key) else { return false };
            let is_in = |set: &KeySet| {
                if pairs.is_some() { set.contains(key, text) } else { set.contains_interned(key) }
            };
            if !is_in(set) || keys[..at].iter().any(is_in) || last.is_some_and(|last| last.key == text) {
                return true;
            }
            let Some(value) = scalar(value, None) else { return false };
            items.push(outlive(Item { key: text, value }, &pairs));
            true
        };
        let are_plain = match (given, &pairs) {
            (Given::Pairs(pairs), _) => pairs.iter().all(|(key, value)| select(key.bind(py), value.bind(py))),
            (_, Some(pairs)) => pairs.each_simple(select),
            _ => true,
        };
        if !are_plain {
            return false;
        }
    }
    items.extend(last);
    take(&items);
    true
}

/// An item of what is kept alive for `'a`.
#[inline]
fn outlive<'a, T>(item: Item<'_>, _alive: &'a T) -> Item<'a> {
    #[allow(unsafe_code)]
    // SAFETY: the pairs, or with the GIL the dict that they are borrowed from, keep keys and values alive for `'a`:
    // whoever has the items runs no Python code that could change the dict. So do references to keys and values.
    unsafe {
        std::mem::transmute::<Item<'_>, Item<'a>>(item)
    }
}

/// Appends the items of a dict; false if one is not plain.
#[inline]
fn plain_items<'a>(pairs: &'a Pairs<'_, '_>, items: &mut Items<'a>) -> bool {
    pairs.each_simple(|key, value| {
        let (Some(key), Some(value)) = (plain_key(key), scalar(value, None)) else { return false };
        items.push(outlive(Item { key, value }, pairs));
        true
    })
}

/// The attributes of any mapping, cleaned as upstream does it, with its warnings.
#[cold]
fn with_cleaned<R>(attributes: &Bound<'_, PyAny>, take: impl FnOnce(&[Item<'_>]) -> R) -> R {
    let cleaned = cleaned(attributes);
    let items: Vec<Item<'_>> = cleaned
        .wire
        .iter()
        .map(|attribute| Item { key: attribute.key, value: Scalar::of_message(attribute.value) })
        .collect();
    take(&items)
}

fn cleaned(attributes: &Bound<'_, PyAny>) -> PyAttributes {
    let mut cleaned = PyAttributes::new(0, None);
    log::measuring(|| cleaned.extend(attributes, None));
    cleaned
}

/// The same as a dict, for upstream's own classes.
#[cold]
pub fn cleaned_dict<'py>(attributes: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(attributes.py());
    for attribute in cleaned(attributes).wire.iter() {
        dict.set_item(attribute.key, read(dict.py(), attribute.value)?)?;
    }
    Ok(dict)
}
