//! The current context, read and set through contextvars' C API on the API package's own context variable; in Python
//! where another context runtime is configured.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::py::once::intern;
use crate::py::upstream::{ATTACH, DETACH, GET_CURRENT, SET_SPAN_IN_CONTEXT, SET_VALUE, Upstream};

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
        Ok(dict) if dict.is_empty() => Ok(None),
        Ok(dict) => dict.get_item(&upstream.span_key),
        // Any object with `get` will do, as upstream.
        Err(_) => Ok(Some(context.call_method1(intern!(py, "get"), (&upstream.span_key,))?)),
    }
}

/// What is in a context: a dict, unless a program has attached another mapping.
#[inline]
fn entries(context: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyDict>> {
    context.cast_into::<PyDict>().or_else(|other| {
        let mapping = other.into_inner();
        let entries = PyDict::new(mapping.py());
        entries.update(mapping.cast::<PyMapping>()?)?;
        Ok(entries)
    })
}

/// What `attach_span` changed, to be undone by `detach`.
pub struct Token(Py<PyAny>);

impl Token {
    /// What `attach` returned, whose ever it was.
    pub fn of(object: Py<PyAny>) -> Self {
        Self(object)
    }

    pub fn into_object(self) -> Py<PyAny> {
        self.0
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

/// `opentelemetry.trace.set_span_in_context`: the current context with `span` in it.
pub fn with_span<'py>(upstream: &Upstream, span: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = span.py();
    if upstream.context_variable.is_none() {
        return SET_SPAN_IN_CONTEXT.look_up(py)?.call1((span,));
    }
    Ok(new_context(upstream, &entries(current(py, upstream)?)?, span)?.into_any())
}

/// Makes `span` the current one.
pub fn attach_span(py: Python<'_>, upstream: &Upstream, span: &Bound<'_, PyAny>) -> PyResult<Token> {
    let Some(variable) = &upstream.context_variable else {
        let context = SET_SPAN_IN_CONTEXT.look_up(py)?.call1((span,))?;
        return Ok(Token(ATTACH.look_up(py)?.call1((context,))?.unbind()));
    };
    let current = entries(current(py, upstream)?)?;
    let context = new_context(upstream, &current, span)?;
    set(upstream, variable, &context)
}

/// Makes `context` the current one.
pub fn attach(upstream: &Upstream, context: &Bound<'_, PyAny>) -> PyResult<Token> {
    match &upstream.context_variable {
        Some(variable) => set(upstream, variable, context),
        None => Ok(Token(ATTACH.look_up(context.py())?.call1((context,))?.unbind())),
    }
}

/// The current context with `value` in it, made the current one.
pub fn attach_value(upstream: &Upstream, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<Token> {
    let py = key.py();
    let Some(variable) = &upstream.context_variable else {
        let context = SET_VALUE.look_up(py)?.call1((key, value))?;
        return attach(upstream, &context);
    };
    let current = entries(current(py, upstream)?)?;
    let context = copied(py, upstream, Some(&current))?;
    context.set_item(key, value)?;
    set(upstream, variable, &context)
}

fn set(upstream: &Upstream, variable: &Py<PyAny>, context: &Bound<'_, PyAny>) -> PyResult<Token> {
    let py = context.py();
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
    if !reset(py, upstream, token.0.bind(py)) {
        // The token belongs to another context (a generator closed late, another runtime): upstream logs that.
        let _ = DETACH.look_up(py).and_then(|detach| detach.call1((&token.0,)));
    }
}

/// Whether the token was one of this context, and so the context from before is restored.
pub fn reset(py: Python<'_>, upstream: &Upstream, token: &Bound<'_, PyAny>) -> bool {
    let Some(variable) = &upstream.context_variable else { return false };
    let collections = NoCollections::while_alive(upstream);
    #[allow(unsafe_code)]
    // SAFETY: both are what the C API asks for; it checks that the token is of this variable and context, and if not
    // returns an error with an exception set.
    let is_reset = unsafe {
        let is_token = (*token.as_ptr()).ob_type == &raw mut ffi::PyContextToken_Type;
        is_token && ffi::PyContextVar_Reset(variable.as_ptr(), token.as_ptr()) == 0
    };
    drop(collections);
    if !is_reset {
        drop(PyErr::take(py));
    }
    is_reset
}
