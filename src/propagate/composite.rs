//! `CompositePropagator`: its propagators one after the other, the two that we know without a call.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::propagate::getter::Getter;
use crate::propagate::held::Held;
use crate::propagate::known::KnownClass;
use crate::propagate::replaced::{EXTRACT_COMPOSITE, INJECT_COMPOSITE};
use crate::propagate::setter::Setter;
use crate::propagate::{baggage, trace_context};
use crate::py::once::intern;
use crate::py::upstream::Upstream;
use crate::py::{call, context};

pub static CLASS: KnownClass =
    KnownClass::new(1, |class| Ok(EXTRACT_COMPOSITE.is_replaced_in(class)? && INJECT_COMPOSITE.is_replaced_in(class)?));

/// Calls `each` with the propagators in their order; false if they are no plain sequence.
#[inline]
fn for_each<'py>(
    composite: &Bound<'py, PyAny>,
    known: Option<&Bound<'py, PyDict>>,
    mut each: impl FnMut(&Bound<'py, PyAny>) -> PyResult<()>,
) -> PyResult<bool> {
    let name = intern!(composite.py(), "_propagators");
    let propagators = match known.map(|attributes| attributes.get_item(name)).transpose()?.flatten() {
        Some(propagators) => propagators,
        None => composite.getattr(name)?,
    };
    if let Ok(list) = propagators.cast_exact::<PyList>() {
        // The list may change meanwhile.
        let mut at = 0;
        while let Ok(propagator) = list.get_item(at) {
            each(&propagator)?;
            at += 1;
            if at >= list.len() {
                break;
            }
        }
    } else if let Ok(tuple) = propagators.cast_exact::<PyTuple>() {
        for propagator in tuple.iter() {
            each(&propagator)?;
        }
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Whether all propagators of a composite one are those that we know, which call no other code.
pub fn are_all_known(attributes: &Bound<'_, PyDict>) -> PyResult<bool> {
    let Some(propagators) = attributes.get_item(intern!(attributes.py(), "_propagators"))? else { return Ok(false) };
    let is_known = |propagator: Bound<'_, PyAny>| {
        trace_context::CLASS.is_class_of(&propagator) || baggage::CLASS.is_class_of(&propagator)
    };
    Ok(match (propagators.cast_exact::<PyList>(), propagators.cast_exact::<PyTuple>()) {
        (Ok(list), _) => list.iter().all(is_known),
        (_, Ok(tuple)) => tuple.iter().all(is_known),
        _ => false,
    })
}

/// `known` are the attributes of a propagator of the API's very class.
#[inline]
pub fn extract<'py>(
    composite: &Bound<'py, PyAny>,
    known: Option<&Bound<'py, PyDict>>,
    upstream: &Upstream,
    getter: &Getter<'_, 'py>,
    mut held: Held<'py>,
) -> PyResult<Held<'py>> {
    let py = composite.py();
    let is_done = for_each(composite, known, |propagator| {
        let before = std::mem::replace(&mut held, Held::given(None));
        held = if trace_context::CLASS.is_class_of(propagator) {
            trace_context::extract_natively(propagator, upstream, getter, before)?
        } else if baggage::CLASS.is_class_of(propagator) {
            baggage::extract_natively(propagator, upstream, getter, before)?
        } else {
            called(py, propagator, getter, before)?
        };
        Ok(())
    })?;
    if is_done {
        return Ok(held);
    }
    EXTRACT_COMPOSITE.extract(composite, getter.carrier, &mut held, getter.object)
}

fn called<'py>(
    py: Python<'py>,
    propagator: &Bound<'py, PyAny>,
    getter: &Getter<'_, 'py>,
    mut held: Held<'py>,
) -> PyResult<Held<'py>> {
    let none = py.None().into_bound(py);
    let context = held.shown().unwrap_or(&none);
    let names = PyTuple::new(py, [intern!(py, "getter")])?;
    let arguments = [propagator, getter.carrier, context, getter.object];
    Ok(Held::given(Some(call::method(intern!(py, "extract"), arguments, Some(&names))?)))
}

#[inline]
pub fn inject<'py>(
    composite: &Bound<'py, PyAny>,
    known: Option<&Bound<'py, PyDict>>,
    upstream: &Upstream,
    setter: &Setter<'_, 'py>,
    context: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = composite.py();
    // Looked up once, unless a call may have changed it.
    let mut current = None;
    // Most contexts have a span and nothing else: then no baggage is looked for.
    let mut is_span_alone = false;
    let is_done = for_each(composite, known, |propagator| {
        if trace_context::CLASS.is_class_of(propagator) {
            let context = or_current(py, upstream, context, &mut current)?;
            let Some(span) = context::span_in(upstream, context)? else { return Ok(()) };
            is_span_alone = context.cast::<PyDict>().is_ok_and(|entries| entries.len() == 1);
            trace_context::inject_span(propagator, upstream, setter, context, &span)
        } else if baggage::CLASS.is_class_of(propagator) {
            if is_span_alone {
                return Ok(());
            }
            baggage::inject_natively(propagator, upstream, setter, or_current(py, upstream, context, &mut current)?)
        } else {
            current = None;
            is_span_alone = false;
            let none = py.None().into_bound(py);
            let names = PyTuple::new(py, [intern!(py, "setter")])?;
            let arguments = [propagator, setter.carrier, context.unwrap_or(&none), setter.object];
            call::method(intern!(py, "inject"), arguments, Some(&names)).map(drop)
        }
    })?;
    if is_done { Ok(()) } else { INJECT_COMPOSITE.inject(composite, setter.carrier, context, setter.object) }
}

#[inline]
fn or_current<'a, 'py>(
    py: Python<'py>,
    upstream: &Upstream,
    context: Option<&'a Bound<'py, PyAny>>,
    current: &'a mut Option<Bound<'py, PyAny>>,
) -> PyResult<&'a Bound<'py, PyAny>> {
    match (context, current) {
        (Some(context), _) => Ok(context),
        (None, Some(current)) => Ok(current),
        (None, current) => Ok(current.insert(context::current(py, upstream)?)),
    }
}
