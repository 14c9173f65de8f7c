//! The methods and functions that come in the place of the API's own: methods of the API's classes, so that whoever has
//! a propagator, or makes one, or derives from one, has them.

use std::ffi::{CStr, CString};

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::impl_::trampoline::get_trampoline_function;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};

use crate::propagate::arguments::{Arguments, Call};
use crate::propagate::carrier::{Getter, Setter};
use crate::propagate::held::Held;
use crate::propagate::known::KnownClass;
use crate::propagate::replaced::{
    EXTRACT, EXTRACT_BAGGAGE, EXTRACT_COMPOSITE, EXTRACT_TRACE_CONTEXT, INJECT, INJECT_BAGGAGE, INJECT_COMPOSITE,
    INJECT_TRACE_CONTEXT, Original, Replaced,
};
use crate::propagate::{baggage, composite, trace_context};
use crate::py::boundary::contained;
use crate::py::call;
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
            function: {
                #[allow(unsafe_code)]
                unsafe fn entry(
                    py: Python<'_>,
                    this: *mut ffi::PyObject,
                    pointers: *const *mut ffi::PyObject,
                    positional: ffi::Py_ssize_t,
                    names: *mut ffi::PyObject,
                ) -> PyResult<*mut ffi::PyObject> {
                    // SAFETY: CPython gives the object whose method it is (null to a function), and the arguments; all
                    // live as long as the call.
                    let (this, call) = unsafe {
                        let this = Bound::from_borrowed_ptr_or_opt(py, this);
                        (this, Call::of(py, pointers, positional, names))
                    };
                    $function(py, &$replaced, this.as_ref(), &call).map(Bound::into_ptr)
                }
                get_trampoline_function!(fastcall_cfunction_with_keywords, entry)
            },
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
        let name = CString::new(self.replaced.attribute)?;
        // CPython keeps the pointers.
        let definition = Box::leak(Box::new(ffi::PyMethodDef {
            ml_name: name.into_raw(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: self.function },
            ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
            ml_doc: self.doc.as_ptr(),
        }));
        #[allow(unsafe_code)]
        // SAFETY: the definition lives for ever, and its flags say which signature the function has. The functions take
        // objects of any class. The results are new references, or null with an exception set.
        unsafe {
            let made = match self.class {
                Some(_) => ffi::PyDescr_NewMethod(&raw mut ffi::PyBaseObject_Type, definition),
                None => {
                    let module = intern!(py, "opentelemetry.propagate");
                    ffi::PyCFunction_NewEx(definition, std::ptr::null_mut(), module.as_ptr())
                }
            };
            Ok(Bound::from_owned_ptr_or_err(py, made)?.unbind())
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
    let (Some(this), Some(arguments)) = (this, call.arguments(intern!(py, "getter"))) else { return forward() };
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
    let (Some(this), Some(arguments)) = (this, call.arguments(intern!(py, "setter"))) else { return forward() };
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
        composite::extract(this, upstream, getter, held)?
    };
    Ok(held.into_result().unwrap_or_else(|| py.None().into_bound(py)))
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
        composite::inject(this, upstream, setter, context)?;
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
    let Some(Arguments { carrier, context, accessor }) = call.arguments(intern!(py, "getter")) else {
        return forward();
    };
    let work = || {
        let Some(propagator) = global_propagator(py, original)? else { return forward() };
        let object = accessor.as_ref().unwrap_or(original.default.bind(py));
        if composite::CLASS.is_class_of(&propagator) {
            let getter = Getter::of(object, &carrier);
            return extracted(py, &EXTRACT_COMPOSITE, &propagator, &getter, context.clone());
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
    let Some(Arguments { carrier, context, accessor }) = call.arguments(intern!(py, "setter")) else {
        return forward();
    };
    let work = || {
        let Some(propagator) = global_propagator(py, original)? else { return forward() };
        let object = accessor.as_ref().unwrap_or(original.default.bind(py));
        if composite::CLASS.is_class_of(&propagator) {
            let setter = Setter::of(object, &carrier);
            return injected(py, &INJECT_COMPOSITE, &propagator, &setter, context.as_ref());
        }
        let context = context.clone().unwrap_or_else(|| py.None().into_bound(py));
        let names = PyTuple::new(py, [intern!(py, "context"), intern!(py, "setter")])?;
        call::method(intern!(py, "inject"), [&propagator, &carrier, &context, object], Some(&names))?;
        Ok(py.None().into_bound(py))
    };
    contained(py, "inject", work, forward)
}
