//! Calls of Python methods and functions without the tuple and dict that PyO3's own would make.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

/// `object.name(*positional, **named)`: the object first in `arguments`, the named ones, whose names are `names`, last.
pub fn method<'py, const N: usize>(
    name: &Bound<'py, PyString>,
    arguments: [&Bound<'py, PyAny>; N],
    names: Option<&Bound<'py, PyTuple>>,
) -> PyResult<Bound<'py, PyAny>> {
    const { assert!(N > 0, "a method has an object") };
    debug_assert!(names.is_none_or(|names| names.len() < N));
    let pointers = arguments.map(|argument| argument.as_ptr());
    let positional = N - names.map_or(0, |names| names.len());
    let names = names.map_or(std::ptr::null_mut(), |names| names.as_ptr());
    #[allow(unsafe_code)]
    // SAFETY: the pointers are to living objects, borrowed for the call, and as many as their count says; the result is
    // a new reference, or null with an exception set.
    unsafe {
        let result = ffi::PyObject_VectorcallMethod(name.as_ptr(), pointers.as_ptr(), positional, names);
        Bound::from_owned_ptr_or_err(name.py(), result)
    }
}

/// `function(*positional, **named)`: the named arguments, whose names are `names`, last.
pub fn function<'py, const N: usize>(
    function: &Bound<'py, PyAny>,
    arguments: [&Bound<'py, PyAny>; N],
    names: Option<&Bound<'py, PyTuple>>,
) -> PyResult<Bound<'py, PyAny>> {
    debug_assert!(names.is_none_or(|names| names.len() <= N));
    let pointers = arguments.map(|argument| argument.as_ptr());
    let positional = N - names.map_or(0, |names| names.len());
    let names = names.map_or(std::ptr::null_mut(), |names| names.as_ptr());
    #[allow(unsafe_code)]
    // SAFETY: as above.
    unsafe {
        let result = ffi::PyObject_Vectorcall(function.as_ptr(), pointers.as_ptr(), positional, names);
        Bound::from_owned_ptr_or_err(function.py(), result)
    }
}
