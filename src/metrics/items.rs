//! A measurement's attributes, borrowed from the dict that they are in.

use otel_rs_core::metrics::{Item, Scalar};
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyString};
use smallvec::SmallVec;

use crate::convert::attributes::{PyAttributes, each_simple, plain_key};
use crate::convert::read::read;
use crate::convert::value::as_i64;
use crate::py::log;

/// A measurement seldom has more.
type Items<'a> = SmallVec<[Item<'a>; 16]>;

/// Calls `take` with the attributes; in a free-threaded interpreter within the dict's critical section. `take` must not
/// run Python code.
#[inline]
pub fn with_items<R>(attributes: Option<&Bound<'_, PyAny>>, take: impl FnOnce(&[Item<'_>]) -> R) -> R {
    let Some(attributes) = attributes else { return take(&[]) };
    let mut take = Some(take);
    if let Ok(dict) = attributes.cast_exact::<PyDict>() {
        let taken = with_critical_section(dict, || {
            let mut items = Items::new();
            let all_plain = plain_items(dict, &mut items);
            all_plain.then(|| take.take().map(|take| take(&items)))?
        });
        if let Some(result) = taken {
            return result;
        }
    }
    let take = take.expect("it is called once: here, or above");
    with_cleaned(attributes, take)
}

/// Appends the items of a dict; false if one is not plain.
#[inline]
fn plain_items<'a>(dict: &'a Bound<'_, PyDict>, items: &mut Items<'a>) -> bool {
    each_simple(dict, |key, value| {
        let (Some(key), Some(value)) = (plain_key(key), scalar(value)) else { return false };
        #[allow(unsafe_code)]
        // SAFETY: keys and values belong to the dict, which is borrowed for `'a` and cannot change meanwhile: whoever
        // has the items runs no Python code, and in a free-threaded interpreter holds the dict's critical section.
        items.push(unsafe { std::mem::transmute::<Item<'_>, Item<'a>>(Item { key, value }) });
        true
    })
}

#[inline]
fn scalar<'a>(value: &'a Bound<'_, PyAny>) -> Option<Scalar<'a>> {
    if let Ok(text) = value.cast_exact::<PyString>() {
        return text.to_str().ok().map(Scalar::Text);
    }
    if let Ok(int) = value.cast_exact::<PyInt>() {
        return as_i64(int).map(Scalar::Int);
    }
    if let Ok(flag) = value.cast_exact::<PyBool>() {
        return Some(Scalar::Bool(flag.is_true()));
    }
    if let Ok(float) = value.cast_exact::<PyFloat>() {
        return Some(Scalar::Double(float.value()));
    }
    if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        return Some(Scalar::Bytes(bytes.as_bytes()));
    }
    value.is_none().then_some(Scalar::Null)
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
