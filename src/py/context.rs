//! The current context, read and set through contextvars' C API on the API package's own context variable; in Python
//! where another context runtime is configured.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::py::once::intern;
use crate::py::upstream::{ATTACH, DETACH, GET_CURRENT, SET_SPAN_IN_CONTEXT, Upstream};

/// The current context.
#[inline]
pub fn current<'py>(py: Python<'py>, upstream: &Upstream) -> PyResult<Bound<'py, PyAny>> {
    let Some(variable) = &upstream.context_variable else {
        return GET_CURRENT.look_up(py)?.call0();
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
pub fn span_in<'py>(upstream: &Upstream, context: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = context.py();
    match context.cast::<PyDict>() {
        Ok(dict) => dict.get_item(&upstream.span_key),
        // Any object with `get` will do, as upstream.
        Err(_) => Ok(Some(context.call_method1(intern!(py, "get"), (&upstream.span_key,))?)),
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
pub fn attach_span(py: Python<'_>, upstream: &Upstream, span: &Bound<'_, PyAny>) -> PyResult<Token> {
    let Some(variable) = &upstream.context_variable else {
        let context = SET_SPAN_IN_CONTEXT.look_up(py)?.call1((span,))?;
        return Ok(Token(ATTACH.look_up(py)?.call1((context,))?.unbind()));
    };
    let current = current(py, upstream)?;
    let context = new_context(upstream, current.cast()?, span)?;
    let _collections = NoCollections::while_alive(upstream);
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
    fn while_alive(upstream: &Upstream) -> Self {
        // SAFETY: the thread is attached, since it holds a reference to the API's objects; the call sets a flag.
        Self { were_on: upstream.allocations_collect && unsafe { ffi::PyGC_Disable() } != 0 }
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

/// A copy of `current` with `span` in it.
fn new_context<'py>(
    upstream: &Upstream,
    current: &Bound<'py, PyDict>,
    span: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let context = copied(current.py(), upstream, Some(current))?;
    context.set_item(&upstream.span_key, span)?;
    Ok(context)
}

/// A new `Context`, with what is in `current`. A `Context` is a dict that only forbids changes from Python.
pub fn copied<'py>(
    py: Python<'py>,
    upstream: &Upstream,
    current: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let class = upstream.context.bind(py).as_type_ptr();
    #[allow(unsafe_code)]
    // SAFETY: `Context` derives from dict without fields of its own, and dict's tp_new accepts its subclasses.
    let context = unsafe {
        let new = ffi::PyDict_Type.tp_new.expect("dict can be made");
        Bound::from_owned_ptr_or_err(py, new(class, PyTuple::empty(py).as_ptr(), std::ptr::null_mut()))?
            .cast_into_unchecked::<PyDict>()
    };
    if let Some(current) = current
        && !current.is_empty()
    {
        context.update(current.as_mapping())?;
    }
    Ok(context)
}

/// Restores the context from before `attach_span`. Never fails: what goes wrong is logged by the API package.
pub fn detach(py: Python<'_>, upstream: &Upstream, token: Token) {
    if let Some(variable) = &upstream.context_variable {
        let collections = NoCollections::while_alive(upstream);
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
    // The token belongs to another context (a generator closed late, another runtime): upstream logs that.
    let _ = DETACH.look_up(py).and_then(|detach| detach.call1((&token.0,)));
}
