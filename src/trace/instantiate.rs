//! Makes native spans as instances of their Python subclasses, which derive from the API's and the SDK's span classes
//! so that every isinstance check in the wild holds.

use std::cell::Cell;

use pyo3::PyTypeInfo;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use crate::trace::non_recording_span::NonRecordingSpan;
use crate::trace::span::Span;

/// A native class that Python subclasses and only tracers instantiate.
pub trait Pending: PyTypeInfo + Sized + 'static {
    fn slot() -> &'static std::thread::LocalKey<Cell<*mut Option<Self>>>;
}

thread_local! {
    static SPAN: Cell<*mut Option<Span>> = const { Cell::new(std::ptr::null_mut()) };
    static NON_RECORDING_SPAN: Cell<*mut Option<NonRecordingSpan>> = const { Cell::new(std::ptr::null_mut()) };
}

impl Pending for Span {
    fn slot() -> &'static std::thread::LocalKey<Cell<*mut Option<Self>>> {
        &SPAN
    }
}

impl Pending for NonRecordingSpan {
    fn slot() -> &'static std::thread::LocalKey<Cell<*mut Option<Self>>> {
        &NON_RECORDING_SPAN
    }
}

/// An instance of `class`, a Python subclass of T without an `__init__` to run, that holds `value`.
///
/// PyO3 makes instances of a subclass only through the native class's `__new__`; the value waits for it on this stack.
pub fn instantiate<'py, T: Pending>(
    py: Python<'py>,
    class: &Bound<'py, PyType>,
    value: T,
) -> PyResult<Bound<'py, PyAny>> {
    let mut value = Some(value);
    T::slot().set(&raw mut value);
    #[allow(unsafe_code)]
    // SAFETY: `class` is a subclass of T (it is defined so in otel_rs.trace), which T's tp_new accepts; the result is a
    // new reference, or null with an exception set. `value` outlives the call.
    let object = unsafe {
        let new = (*T::type_object_raw(py)).tp_new.expect("a class with #[new]");
        let object = new(class.as_type_ptr(), PyTuple::empty(py).as_ptr(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(py, object)
    };
    // Not taken if allocating the instance failed first.
    T::slot().set(std::ptr::null_mut());
    object
}

/// For `__new__`: the value that `instantiate` on this thread wants held, if it is the one that calls.
pub fn take_pending<T: Pending>() -> Option<T> {
    let pending = T::slot().replace(std::ptr::null_mut());
    #[allow(unsafe_code)]
    // SAFETY: a non-null pointer was set by `instantiate` on this thread, which is still on the stack: it resets the
    // slot before it returns.
    unsafe { pending.as_mut() }.and_then(Option::take)
}
