//! The current context, read and set through contextvars' C API on the API package's own context variable; in Python
//! where another context runtime is configured.

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::trace::api::Api;

/// The variable of the runtime, if it is upstream's own on contextvars.
pub fn variable_of(runtime: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    let module = runtime.py().import("opentelemetry.context.contextvars_context")?;
    if !runtime.get_type().is(&module.getattr("ContextVarsRuntimeContext")?) {
        return Ok(None);
    }
    let variable = runtime.getattr("_current_context")?;
    #[allow(unsafe_code)]
    // SAFETY: only looks at the object's type.
    let is_variable = unsafe { ffi::PyContextVar_CheckExact(variable.as_ptr()) } != 0;
    Ok(is_variable.then(|| variable.unbind()))
}

/// The current context.
#[inline]
pub fn current<'py>(py: Python<'py>, api: &Api) -> PyResult<Bound<'py, PyAny>> {
    let Some(variable) = &api.context_variable else {
        return py.import("opentelemetry.context")?.call_method0("get_current");
    };
    let mut value = std::ptr::null_mut();
    #[allow(unsafe_code)]
    // SAFETY: `variable` is a ContextVar; on success `value` is a new reference, or null if the variable has neither a
    // value nor a default.
    let value = unsafe {
        if ffi::PyContextVar_Get(variable.as_ptr(), std::ptr::null_mut(), &mut value) != 0 {
            return Err(PyErr::fetch(py));
        }
        Bound::from_owned_ptr_or_opt(py, value)
    };
    Ok(value.unwrap_or_else(|| PyDict::new(py).into_any()))
}

/// The object that a context holds as its span, whatever it is.
#[inline]
pub fn span_of<'py>(api: &Api, context: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = context.py();
    match context.cast::<PyDict>() {
        Ok(dict) => dict.get_item(&api.span_key),
        // Any object with `get` will do, as upstream.
        Err(_) => Ok(Some(context.call_method1(intern!(py, "get"), (&api.span_key,))?)),
    }
}

/// What `attach_span` changed, to be undone by `detach`.
pub struct Token(Py<PyAny>);

impl Token {
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

/// Makes `span` the current one.
pub fn attach_span(py: Python<'_>, api: &Api, span: &Bound<'_, PyAny>) -> PyResult<Token> {
    let Some(variable) = &api.context_variable else {
        let context = py.import("opentelemetry.trace")?.call_method1("set_span_in_context", (span,))?;
        return Ok(Token(py.import("opentelemetry.context")?.call_method1("attach", (context,))?.unbind()));
    };
    let current = current(py, api)?;
    let context = new_context(api, current.cast()?, span)?;
    let _collections = NoCollections::while_alive(api);
    #[allow(unsafe_code)]
    // SAFETY: `variable` is a ContextVar; the result is a new reference, or null with an exception set.
    let token =
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContextVar_Set(variable.as_ptr(), context.as_ptr()))? };
    Ok(Token(token.unbind()))
}

/// Keeps Python's garbage collector from running where allocations start it: what it calls may set a context variable
/// while the C API is about to replace the mapping that they are all in, which then reads freed memory.
///
/// No Python code runs while this is alive, so that nobody else turns the collector on or off.
struct NoCollections {
    were_on: bool,
}

impl NoCollections {
    #[inline]
    #[allow(unsafe_code)]
    fn while_alive(api: &Api) -> Self {
        // SAFETY: the thread is attached, as everybody is who has the API's objects; it sets a flag.
        Self { were_on: api.allocations_collect && unsafe { ffi::PyGC_Disable() } != 0 }
    }
}

impl Drop for NoCollections {
    #[inline]
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        if self.were_on {
            // SAFETY: as above.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}

/// A copy of `current` with `span` in it. A `Context` is a dict that only forbids changes from Python.
fn new_context<'py>(api: &Api, current: &Bound<'py, PyDict>, span: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let py = current.py();
    let class = api.context.bind(py).as_type_ptr();
    #[allow(unsafe_code)]
    // SAFETY: `Context` derives from dict without fields of its own, and dict's tp_new accepts its subclasses.
    let context = unsafe {
        let new = ffi::PyDict_Type.tp_new.expect("dict can be made");
        Bound::from_owned_ptr_or_err(py, new(class, PyTuple::empty(py).as_ptr(), std::ptr::null_mut()))?
            .cast_into_unchecked::<PyDict>()
    };
    if !current.is_empty() {
        context.update(current.as_mapping())?;
    }
    context.set_item(&api.span_key, span)?;
    Ok(context)
}

/// Restores the context from before `attach_span`. Never fails: what goes wrong is logged by the API package.
pub fn detach(py: Python<'_>, api: &Api, token: Token) {
    if let Some(variable) = &api.context_variable {
        let collections = NoCollections::while_alive(api);
        #[allow(unsafe_code)]
        // SAFETY: both are what the C API asks for; it checks that the token is of this variable and context, and if
        // not returns an error with an exception set.
        let reset = unsafe {
            let is_token = (*token.0.as_ptr()).ob_type == &raw mut ffi::PyContextToken_Type;
            is_token && ffi::PyContextVar_Reset(variable.as_ptr(), token.0.as_ptr()) == 0
        };
        drop(collections);
        if reset {
            return;
        }
        drop(PyErr::take(py));
    }
    // The token belongs to another context (a generator closed late, another runtime): upstream's words for it.
    let _ = py.import("opentelemetry.context").and_then(|module| module.call_method1("detach", (&token.0,)));
}
