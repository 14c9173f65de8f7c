//! The current context, read and set through contextvars' C API on the API package's own context variable; in Python
//! where another context runtime is configured.

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use crate::trace::api::Api;

/// The contextvars runtime that was found first, and its variable. Programs do not change it; tests may.
struct Runtime {
    runtime: Py<PyAny>,
    variable: Py<PyAny>,
}

/// The context variable to use directly, or None if contexts must go through Python.
#[inline]
fn variable<'py>(py: Python<'py>, api: &Api) -> PyResult<Option<&'py Bound<'py, PyAny>>> {
    static KNOWN: PyOnceLock<Runtime> = PyOnceLock::new();
    let runtime = api.context_globals.bind(py).get_item(intern!(py, "_RUNTIME_CONTEXT"))?;
    let Some(runtime) = runtime else { return Ok(None) };
    let known = match KNOWN.get(py) {
        Some(known) => known,
        None => {
            if !runtime.get_type().is(&api.contextvars_runtime) {
                return Ok(None);
            }
            let variable = runtime.getattr("_current_context")?.unbind();
            #[allow(unsafe_code)]
            // SAFETY: only looks at the object's type.
            if unsafe { ffi::PyContextVar_CheckExact(variable.as_ptr()) } == 0 {
                return Ok(None);
            }
            KNOWN.get_or_init(py, || Runtime { runtime: runtime.clone().unbind(), variable })
        }
    };
    Ok(known.runtime.is(&runtime).then(|| known.variable.bind(py)))
}

/// The current context.
#[inline]
pub fn current<'py>(py: Python<'py>, api: &Api) -> PyResult<Bound<'py, PyAny>> {
    let Some(variable) = variable(py, api)? else {
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

/// Makes `span` the current one.
pub fn attach_span(py: Python<'_>, api: &Api, span: &Bound<'_, PyAny>) -> PyResult<Token> {
    let Some(variable) = variable(py, api)? else {
        let context = py.import("opentelemetry.trace")?.call_method1("set_span_in_context", (span,))?;
        return Ok(Token(py.import("opentelemetry.context")?.call_method1("attach", (context,))?.unbind()));
    };
    let current = current(py, api)?;
    let context = new_context(api, current.cast()?, span)?;
    #[allow(unsafe_code)]
    // SAFETY: `variable` is a ContextVar; the result is a new reference, or null with an exception set.
    let token =
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContextVar_Set(variable.as_ptr(), context.as_ptr()))? };
    Ok(Token(token.unbind()))
}

/// A copy of `current` with `span` in it. A `Context` is a dict that only forbids changes from Python.
fn new_context<'py>(api: &Api, current: &Bound<'py, PyDict>, span: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let py = current.py();
    let class = api.context.bind(py).as_type_ptr();
    #[allow(unsafe_code)]
    // SAFETY: `Context` derives from dict without fields of its own, and dict's tp_new accepts its subclasses.
    let context = unsafe {
        let new = (*(&raw mut ffi::PyDict_Type)).tp_new.expect("dict can be made");
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
    if let Ok(Some(variable)) = variable(py, api) {
        #[allow(unsafe_code)]
        // SAFETY: both are what the C API asks for; it checks that the token is of this variable and context, and if
        // not returns an error with an exception set.
        let reset = unsafe {
            let is_token = (*token.0.as_ptr()).ob_type == &raw mut ffi::PyContextToken_Type;
            is_token && ffi::PyContextVar_Reset(variable.as_ptr(), token.0.as_ptr()) == 0
        };
        if reset {
            return;
        }
        drop(PyErr::take(py));
    }
    // The token belongs to another context (a generator closed late, another runtime): upstream's words for it.
    let _ = py.import("opentelemetry.context").and_then(|module| module.call_method1("detach", (&token.0,)));
}
