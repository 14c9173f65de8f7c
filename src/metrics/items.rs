//! A measurement's attributes, borrowed from the dict that they are in.

use otel_rs_core::metrics::{Item, Scalar};
use pyo3::prelude::*;
use pyo3::types::PyDict;
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

/// Appends the items of a dict; false if one is not plain.
#[inline]
fn plain_items<'a>(pairs: &'a Pairs<'_, '_>, items: &mut Items<'a>) -> bool {
    pairs.each_simple(|key, value| {
        let (Some(key), Some(value)) = (plain_key(key), scalar(value, None)) else { return false };
        #[allow(unsafe_code)]
        // SAFETY: the pairs, or with the GIL the dict that they are borrowed from, keep keys and values alive for `'a`:
        // whoever has the items runs no Python code that could change the dict.
        items.push(unsafe { std::mem::transmute::<Item<'_>, Item<'a>>(Item { key, value }) });
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
