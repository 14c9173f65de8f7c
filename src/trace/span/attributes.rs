//! Attributes of a span.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use smallvec::SmallVec;

use crate::convert::attributes::{self, Plain, Put};
use crate::convert::pairs::Pairs;
use crate::py::boundary::contained;
use crate::py::fastcall::{Call, fast_method};
use crate::py::once::{Interned, intern};
use crate::py::upstream::upstream;
use crate::py::{exception, log, text};
use crate::trace::span::Span;
use crate::trace::span::part::Part;

impl Span {
    /// Handles the usual case; false if key or value are not plain, or the span has ended.
    #[inline]
    fn set_plain_attribute(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> bool {
        let Ok(key) = key.cast_exact::<PyString>() else { return false };
        let Some(plain) = Plain::of(key, value, self.limits().span_value_len) else { return false };
        let put = {
            let mut state = self.lock();
            if state.end_time.is_some() || state.held(Part::Attributes).is_some() {
                return false;
            }
            plain.put_into(&mut state.attributes)
        };
        put.log(key.py());
        true
    }

    #[cold]
    fn set_any_attribute(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) {
        let py = key.py();
        if self.has_ended() {
            return log::warning(py, "Setting attribute on ended span.");
        }
        if let Some(held) = self.part(py, Part::Attributes) {
            if let Err(error) = held.bind(py).set_item(key, value) {
                exception::swallow(py, "An attribute was not set", error);
            }
            return;
        }
        let key = match key.cast::<PyString>() {
            Ok(key) if key.len().is_ok_and(|len| len > 0) => key.clone(),
            _ => {
                self.count_dropped_attributes(1);
                if log::warns(py) {
                    let shown = text::shown(key);
                    log::warning(
                        py,
                        &format!("invalid key `{shown}`. must be non-empty string. Dropping key from attributes."),
                    );
                }
                return;
            }
        };
        if self.limits().span_attributes == Some(0) {
            return self.count_dropped_attributes(1);
        }
        match attributes::convert(key, value, self.limits().span_value_len) {
            Some(converted) => self.put(py, converted),
            None => self.count_dropped_attributes(1),
        }
    }

    /// Sets attributes that are all plain, and whose keys differ. False, and none is set, if one is not plain, or the span
    /// has ended.
    pub fn set_all_plain<'a, 'py: 'a>(
        &self,
        py: Python<'py>,
        attributes: impl IntoIterator<Item = (&'a Bound<'py, PyString>, &'a Bound<'py, PyAny>)>,
    ) -> bool {
        let value_len = self.limits().span_value_len;
        let mut all = SmallVec::<[Plain<'a>; 16]>::new();
        for (key, value) in attributes {
            let Some(plain) = Plain::of(key, value, value_len) else { return false };
            all.push(plain);
        }
        self.put_all_plain(py, &all)
    }

    fn put_all_plain(&self, py: Python<'_>, all: &[Plain<'_>]) -> bool {
        let mut puts = SmallVec::<[Put; 16]>::new();
        {
            let mut state = self.lock();
            if state.end_time.is_some() || state.held(Part::Attributes).is_some() {
                return false;
            }
            let attributes = &mut state.attributes;
            if attributes.is_empty() {
                puts.extend(all.iter().map(|plain| plain.add_to(attributes)));
            } else {
                puts.extend(all.iter().map(|plain| plain.put_into(attributes)));
            }
        }
        puts.into_iter().for_each(|put| put.log(py));
        true
    }

    fn count_dropped_attributes(&self, count: u32) {
        let mut state = self.lock();
        if count > 0 && state.end_time.is_none() {
            state.attributes.wire.count_dropped(count);
        }
    }

    fn put(&self, py: Python<'_>, converted: attributes::Converted<'_>) {
        let (put, held, unused) = {
            let mut state = self.lock();
            match (state.end_time, state.held(Part::Attributes)) {
                (None, None) => (Some(converted.put_into(&mut state.attributes)), None, None),
                (None, Some(held)) => (None, Some(held.clone_ref(py)), Some(converted)),
                (Some(_), _) => (None, None, Some(converted)),
            }
        };
        match (put, held, unused) {
            (Some(put), ..) => put.log(py),
            (_, Some(held), Some(converted)) => {
                if let Err(error) = converted.set_in(held.bind(py)) {
                    exception::swallow(py, "An attribute was not set", error);
                }
            }
            _ => log::warning(py, "Setting attribute on ended span."),
        }
    }
}

impl Span {
    #[inline]
    pub fn set_one(&self, py: Python<'_>, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let work = || {
            if !self.set_plain_attribute(key, value) {
                self.set_any_attribute(key, value);
            }
            Ok(())
        };
        contained(py, "set_attribute", work, || Ok(()))
    }
}

fast_method!(pub static SET_ATTRIBUTE: Span, "set_attribute", set_attribute);

static PARAMETERS: [Interned; 2] = [Interned::new("key"), Interned::new("value")];

fn set_attribute<'py>(span: &Bound<'py, Span>, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = span.py();
    let Some([Some(key), Some(value)]) = call.arguments(&PARAMETERS) else {
        return Ok(None);
    };
    span.get().set_one(py, &key, &value)?;
    Ok(Some(py.None().into_bound(py)))
}

#[pymethods]
impl Span {
    /// Sets one attribute; a key set before moves to the end. Invalid keys and values cost one log line.
    fn set_attribute(&self, py: Python<'_>, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.set_one(py, key, value)
    }

    /// Sets all attributes of a mapping.
    pub fn set_attributes(&self, py: Python<'_>, attributes: &Bound<'_, PyAny>) -> PyResult<()> {
        let work = || {
            if self.has_ended() {
                log::warning(py, "Setting attribute on ended span.");
                return Ok(());
            }
            if let Some(held) = self.part(py, Part::Attributes) {
                let update = if held.bind(py).is_instance(upstream(py)?.bounded_attributes.bind(py))? {
                    intern!(py, "_set_items")
                } else {
                    intern!(py, "update")
                };
                if let Err(error) = held.call_method1(py, update, (attributes,)) {
                    exception::swallow(py, "Attributes were not set", error);
                }
                return Ok(());
            }
            let value_len = self.limits().span_value_len;
            if let Ok(dict) = attributes.cast_exact::<PyDict>()
                && self.limits().span_attributes != Some(0)
            {
                let pairs = Pairs::of(dict);
                if Plain::all_of(&pairs, value_len).is_some_and(|all| self.put_all_plain(py, &all)) {
                    return Ok(());
                }
            }
            let dropped = attributes::each(attributes, self.limits().span_attributes, |key, value| {
                if self.set_plain_attribute(&key, &value) {
                    return;
                }
                match attributes::convert(key, &value, value_len) {
                    Some(converted) => self.put(py, converted),
                    None => self.count_dropped_attributes(1),
                }
            });
            self.count_dropped_attributes(dropped);
            Ok(())
        };
        contained(py, "set_attributes", work, || Ok(()))
    }
}
