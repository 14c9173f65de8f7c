//! `W3CBaggagePropagator`.

use otel_rs_core::propagate::baggage::{self, MAX_ENTRIES, MAX_ENTRY, MAX_LEN, Writer};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::convert::pairs::Pairs;
use crate::propagate::field::Field;
use crate::propagate::getter::Getter;
use crate::propagate::header::{First, Header};
use crate::propagate::held::{Held, plain};
use crate::propagate::known::KnownClass;
use crate::propagate::names;
use crate::propagate::objects::objects;
use crate::propagate::replaced::{EXTRACT_BAGGAGE, INJECT_BAGGAGE};
use crate::propagate::setter::Setter;
use crate::py::upstream::Upstream;
use crate::py::{context, log, text};

pub static CLASS: KnownClass = KnownClass::new(0, |class| {
    Ok(EXTRACT_BAGGAGE.is_replaced_in(class)? && INJECT_BAGGAGE.is_replaced_in(class)? && has_defaults(class)?)
});

pub fn has_defaults(propagator: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(propagator.getattr("_BAGGAGE_HEADER_NAME")?.eq(Field::Baggage.name())?
        && propagator.getattr("_MAX_HEADER_LENGTH")?.eq(MAX_LEN)?
        && propagator.getattr("_MAX_PAIR_LENGTH")?.eq(MAX_ENTRY)?
        && propagator.getattr("_MAX_PAIRS")?.eq(MAX_ENTRIES)?)
}

#[inline]
fn is_plain(propagator: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(CLASS.is_class_of(propagator) || has_defaults(propagator)?)
}

#[inline]
pub fn extract<'py>(
    propagator: &Bound<'py, PyAny>,
    upstream: &Upstream,
    getter: &Getter<'_, 'py>,
    mut held: Held<'py>,
) -> PyResult<Held<'py>> {
    if is_plain(propagator)? {
        return extract_natively(propagator, upstream, getter, held);
    }
    EXTRACT_BAGGAGE.extract(propagator, getter.carrier, &mut held, getter.object)
}

/// Of a propagator whose name and limits are the API's.
#[inline]
pub fn extract_natively<'py>(
    propagator: &Bound<'py, PyAny>,
    upstream: &Upstream,
    getter: &Getter<'_, 'py>,
    held: Held<'py>,
) -> PyResult<Held<'py>> {
    let py = propagator.py();
    let header = getter.read(Field::Baggage)?;
    let text = match header.first() {
        First::Missing => return held.or_current(py, upstream),
        First::Text(text) => text,
        First::Other => return as_upstream(propagator, getter, held, &header),
    };
    let held = held.or_current(py, upstream)?;
    let Some(header_text) = text::plain_utf8(&text) else {
        log::warning(py, "A baggage header with lone surrogates was ignored");
        return Ok(held);
    };
    if header_text.is_empty() {
        return Ok(held);
    }
    let Ok(entries) = baggage::read(header_text) else {
        return match baggage::with_short_blanks(header_text) {
            Some(short) => {
                let short = Header::One(PyString::new(py, &short).into_any());
                as_upstream(propagator, getter, held, &short)
            }
            None => as_upstream(propagator, getter, held, &header),
        };
    };
    if entries.is_empty() {
        return Ok(held);
    }
    let key = objects(py, upstream)?.baggage_key.bind(py);
    let Some(context) = held.dict(upstream) else { return as_upstream(propagator, getter, held, &header) };
    let values = match context.get_item(key)? {
        Some(before) if before.is_exact_instance_of::<PyDict>() => before.cast::<PyDict>()?.copy()?,
        Some(before) if before.is_instance_of::<PyDict>() => return as_upstream(propagator, getter, held, &header),
        _ => PyDict::new(py),
    };
    for (name, value) in entries {
        values.set_item(names::NAMES.text(py, &name)?, text::new(py, &value)?)?;
    }
    held.with(py, upstream, key, values.as_any())
}

#[cold]
fn as_upstream<'py>(
    propagator: &Bound<'py, PyAny>,
    getter: &Getter<'_, 'py>,
    mut held: Held<'py>,
    header: &Header<'py>,
) -> PyResult<Held<'py>> {
    let getter_after = getter.after(&[(Field::Baggage, header)])?;
    EXTRACT_BAGGAGE.extract(propagator, getter.carrier, &mut held, &getter_after)
}

#[inline]
pub fn inject<'py>(
    propagator: &Bound<'py, PyAny>,
    upstream: &Upstream,
    setter: &Setter<'_, 'py>,
    context: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    match context {
        _ if !is_plain(propagator)? => INJECT_BAGGAGE.inject(propagator, setter.carrier, context, setter.object),
        Some(context) => inject_natively(propagator, upstream, setter, context),
        None => inject_natively(propagator, upstream, setter, &context::current(propagator.py(), upstream)?),
    }
}

/// By a propagator whose name and limits are the API's.
#[inline]
pub fn inject_natively<'py>(
    propagator: &Bound<'py, PyAny>,
    upstream: &Upstream,
    setter: &Setter<'_, 'py>,
    context: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = propagator.py();
    let as_upstream = || INJECT_BAGGAGE.inject(propagator, setter.carrier, Some(context), setter.object);
    let Some(values) = plain(upstream, context) else { return as_upstream() };
    let Some(values) = values.get_item(objects(py, upstream)?.baggage_key.bind(py))? else { return Ok(()) };
    let Ok(values) = values.cast::<PyDict>() else { return Ok(()) };
    if !values.is_exact_instance_of::<PyDict>() {
        return as_upstream();
    }
    if values.is_empty() {
        return Ok(());
    }
    match written(values) {
        Some(header) => setter.set(Field::Baggage, text::new(py, &header)?.as_any()),
        None => as_upstream(),
    }
}

/// None if something is no plain text, or too much.
fn written(values: &Bound<'_, PyDict>) -> Option<String> {
    let mut writer = Writer::default();
    let all_written = Pairs::of(values).each_simple(|name, value| {
        let texts =
            (text::plain_utf8(name), value.cast_exact::<PyString>().ok().and_then(|value| text::plain_utf8(value)));
        let (Some(name), Some(value)) = texts else { return false };
        writer.add(name, value).is_ok()
    });
    all_written.then(|| writer.into_header())
}
