//! The methods and functions that come in the place of the API's own: methods of the API's classes, so that whoever has
//! a propagator, or makes one, or derives from one, has them.

use std::ffi::CStr;

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};

use crate::propagate::arguments::{self, Arguments};
use crate::propagate::getter::Getter;
use crate::propagate::held::Held;
use crate::propagate::known::KnownClass;
use crate::propagate::replaced::{
    EXTRACT, EXTRACT_BAGGAGE, EXTRACT_COMPOSITE, EXTRACT_TRACE_CONTEXT, INJECT, INJECT_BAGGAGE, INJECT_COMPOSITE,
    INJECT_TRACE_CONTEXT, Original, Replaced,
};
use crate::propagate::setter::Setter;
use crate::propagate::{baggage, composite, trace_context};
use crate::py::boundary::contained;
use crate::py::call;
use crate::py::fastcall::{Call, new_function, new_method, raw_function};
use crate::py::once::intern;
use crate::py::upstream::upstream;

/// A native method, and the one in whose place it comes.
struct Method {
    replaced: &'static Replaced,
    class: Option<&'static KnownClass>,
    doc: &'static CStr,
    function: ffi::PyCFunctionFastWithKeywords,
}

macro_rules! method {
    ($replaced:ident, $class:expr, $function:path, $doc:literal) => {
        Method {
            replaced: &$replaced,
            class: $class,
            doc: $doc,
            function: raw_function!(|py, this, call| $function(py, &$replaced, this, call)),
        }
    };
}

static METHODS: [Method; 8] = [
    method!(
        EXTRACT_TRACE_CONTEXT,
        Some(&trace_context::CLASS),
        extract,
        c"extract($self, carrier, context=None, getter=None)\n--\n\nThe context with the span that traceparent names."
    ),
    method!(
        INJECT_TRACE_CONTEXT,
        Some(&trace_context::CLASS),
        inject,
        c"inject($self, carrier, context=None, setter=None)\n--\n\nSets traceparent and tracestate in the carrier."
    ),
    method!(
        EXTRACT_BAGGAGE,
        Some(&baggage::CLASS),
        extract,
        c"extract($self, carrier, context=None, getter=None)\n--\n\nThe context with the carrier's baggage."
    ),
    method!(
        INJECT_BAGGAGE,
        Some(&baggage::CLASS),
        inject,
        c"inject($self, carrier, context=None, setter=None)\n--\n\nSets the baggage in the carrier."
    ),
    method!(
        EXTRACT_COMPOSITE,
        Some(&composite::CLASS),
        extract,
        c"extract($self, carrier, context=None, getter=None)\n--\n\nThe context that all propagators find in the carrier."
    ),
    method!(
        INJECT_COMPOSITE,
        Some(&composite::CLASS),
        inject,
        c"inject($self, carrier, context=None, setter=None)\n--\n\nSets in the carrier what all propagators set."
    ),
    method!(
        EXTRACT,
        None,
        extract_globally,
        c"extract(carrier, context=None, getter=None)\n--\n\nThe context that the global propagator finds in the carrier."
    ),
    method!(
        INJECT,
        None,
        inject_globally,
        c"inject(carrier, context=None, setter=None)\n--\n\nSets in the carrier what the global propagator sets."
    ),
];

/// What comes in the place of a method or function of the API.
#[pyfunction]
pub fn native_propagation<'py>(original: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = original.py();
    let name: String = original.getattr("__qualname__")?.extract()?;
    let method = METHODS
        .iter()
        .find(|method| method.replaced.name == name)
        .ok_or_else(|| PyValueError::new_err(format!("there is no native {name}")))?;
    let native = method.replaced.by(original, || method.make(py))?;
    if let Some(class) = method.class {
        let name = name.split('.').next().unwrap_or_default();
        let module = py.import(original.getattr("__module__")?.cast::<PyString>()?)?;
        class.set(module.getattr(name)?.cast::<PyType>()?);
    }
    Ok(native)
}

impl Method {
    fn make(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let name = self.replaced.attribute;
        match self.class {
            Some(_) => new_method(py, name, self.doc, self.function),
            None => new_function(py, intern!(py, "opentelemetry.propagate"), name, self.doc, self.function),
        }
    }
}

fn extract<'py>(
    py: Python<'py>,
    replaced: &Replaced,
    this: Option<&Bound<'py, PyAny>>,
    call: &Call<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let original = replaced.original(py);
    let forward = || call.forward(&original.function, this);
    let (Some(this), Some(arguments)) = (this, Arguments::of(call, &arguments::EXTRACT)) else {
        return forward();
    };
    let work = || {
        let object = arguments.accessor.as_ref().unwrap_or(original.default.bind(py));
        let getter = Getter::of(object, &arguments.carrier);
        extracted(py, replaced, this, &getter, arguments.context.clone())
    };
    contained(py, "extract", work, forward)
}

fn inject<'py>(
    py: Python<'py>,
    replaced: &Replaced,
    this: Option<&Bound<'py, PyAny>>,
    call: &Call<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let original = replaced.original(py);
    let forward = || call.forward(&original.function, this);
    let (Some(this), Some(arguments)) = (this, Arguments::of(call, &arguments::INJECT)) else {
        return forward();
    };
    let work = || {
        let object = arguments.accessor.as_ref().unwrap_or(original.default.bind(py));
        let setter = Setter::of(object, &arguments.carrier);
        injected(py, replaced, this, &setter, arguments.context.as_ref())
    };
    contained(py, "inject", work, forward)
}

#[inline]
fn extracted<'py>(
    py: Python<'py>,
    replaced: &Replaced,
    this: &Bound<'py, PyAny>,
    getter: &Getter<'_, 'py>,
    context: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (upstream, held) = (upstream(py)?, Held::given(context));
    let held = if std::ptr::eq(replaced, &EXTRACT_TRACE_CONTEXT) {
        trace_context::extract(this, upstream, getter, held)?
    } else if std::ptr::eq(replaced, &EXTRACT_BAGGAGE) {
        baggage::extract(this, upstream, getter, held)?
    } else {
        composite::extract(this, None, upstream, getter, held)?
    };
    Ok(result(py, held))
}

#[inline]
fn result<'py>(py: Python<'py>, held: Held<'py>) -> Bound<'py, PyAny> {
    held.into_result().unwrap_or_else(|| py.None().into_bound(py))
}

#[inline]
fn injected<'py>(
    py: Python<'py>,
    replaced: &Replaced,
    this: &Bound<'py, PyAny>,
    setter: &Setter<'_, 'py>,
    context: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let upstream = upstream(py)?;
    if std::ptr::eq(replaced, &INJECT_TRACE_CONTEXT) {
        trace_context::inject(this, upstream, setter, context)?;
    } else if std::ptr::eq(replaced, &INJECT_BAGGAGE) {
        baggage::inject(this, upstream, setter, context)?;
    } else {
        composite::inject(this, None, upstream, setter, context)?;
    }
    Ok(py.None().into_bound(py))
}

/// What the program has set as the global propagator.
#[inline]
fn global_propagator<'py>(py: Python<'py>, original: &Original) -> PyResult<Option<Bound<'py, PyAny>>> {
    let globals = original.globals.bind(py);
    let Some(get) = globals.get_item(intern!(py, "get_global_textmap"))? else { return Ok(None) };
    match &original.get_global_textmap {
        Some(known) if get.is(known) => globals.get_item(intern!(py, "_HTTP_TEXT_FORMAT")),
        // Somebody has replaced it.
        _ => get.call0().map(Some),
    }
}

fn extract_globally<'py>(
    py: Python<'py>,
    replaced: &Replaced,
    _this: Option<&Bound<'py, PyAny>>,
    call: &Call<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let original = replaced.original(py);
    let forward = || call.forward(&original.function, None);
    let Some(Arguments { carrier, context, accessor }) = Arguments::of(call, &arguments::EXTRACT) else {
        return forward();
    };
    let work = || {
        let Some(propagator) = global_propagator(py, original)? else { return forward() };
        let object = accessor.as_ref().unwrap_or(original.default.bind(py));
        if let Some(known) = composite::CLASS.attributes_of(&propagator) {
            let (getter, held) = (Getter::of(object, &carrier), Held::given(context.clone()));
            let held = composite::extract(&propagator, Some(&known), upstream(py)?, &getter, held)?;
            return Ok(result(py, held));
        }
        let context = context.clone().unwrap_or_else(|| py.None().into_bound(py));
        let names = PyTuple::new(py, [intern!(py, "getter")])?;
        call::method(intern!(py, "extract"), [&propagator, &carrier, &context, object], Some(&names))
    };
    contained(py, "extract", work, forward)
}

fn inject_globally<'py>(
    py: Python<'py>,
    replaced: &Replaced,
    _this: Option<&Bound<'py, PyAny>>,
    call: &Call<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let original = replaced.original(py);
    let forward = || call.forward(&original.function, None);
    let Some(Arguments { carrier, context, accessor }) = Arguments::of(call, &arguments::INJECT) else {
        return forward();
    };
    let work = || {
        let Some(propagator) = global_propagator(py, original)? else { return forward() };
        let object = accessor.as_ref().unwrap_or(original.default.bind(py));
        if let Some(known) = composite::CLASS.attributes_of(&propagator) {
            let setter = Setter::of(object, &carrier);
            composite::inject(&propagator, Some(&known), upstream(py)?, &setter, context.as_ref())?;
            return Ok(py.None().into_bound(py));
        }
        let context = context.clone().unwrap_or_else(|| py.None().into_bound(py));
        let names = PyTuple::new(py, [intern!(py, "context"), intern!(py, "setter")])?;
        call::method(intern!(py, "inject"), [&propagator, &carrier, &context, object], Some(&names))?;
        Ok(py.None().into_bound(py))
    };
    contained(py, "inject", work, forward)
}

/// Whether a function is the native one in the place of `opentelemetry.propagate.inject`.
pub fn is_native_inject(function: &Bound<'_, PyAny>) -> bool {
    INJECT.native(function.py()).is_some_and(|native| function.is(native))
}

/// What `inject(carrier, context)` does, if no code but the carrier's and ours runs; false, and nothing is set, if other
/// code may.
pub fn inject_into<'py>(carrier: &Bound<'py, PyAny>, context: Option<&Bound<'py, PyAny>>) -> PyResult<bool> {
    let py = carrier.py();
    let original = INJECT.original(py);
    let Some(propagator) = global_propagator(py, original)? else { return Ok(false) };
    let Some(known) = composite::CLASS.attributes_of(&propagator) else { return Ok(false) };
    let setter = Setter::of(original.default.bind(py), carrier);
    if !setter.is_known() || !composite::are_all_known(&known)? {
        return Ok(false);
    }
    composite::inject(&propagator, Some(&known), upstream(py)?, &setter, context)?;
    Ok(true)
}
