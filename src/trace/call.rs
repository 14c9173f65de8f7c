//! Calls of Python code that may not return because the interpreter ends the thread.
//!
//! CPython before 3.14 ends a daemon thread, which wants the GIL while the interpreter exits, by unwinding its stack.
//! PyO3 declares the C API as never unwinding, so that the unwinder finds no entry for such a call in a Rust frame and
//! ends the process. Called as what it is, the thread is put to sleep here.

use std::hint::black_box;

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

type Vectorcall =
    unsafe extern "C-unwind" fn(*mut PyObject, *const *mut PyObject, usize, *mut PyObject) -> *mut PyObject;
type Unary = unsafe extern "C-unwind" fn(*mut PyObject) -> *mut PyObject;

#[allow(unsafe_code)]
fn vectorcall_method() -> Vectorcall {
    // SAFETY: the same function but for what it is said to do when its thread is ended. `black_box` keeps the compiler
    // from finding PyO3's declaration behind it.
    black_box(unsafe { std::mem::transmute::<*const (), Vectorcall>(ffi::PyObject_VectorcallMethod as *const ()) })
}

#[allow(unsafe_code)]
fn object_str() -> Unary {
    // SAFETY: as above.
    black_box(unsafe { std::mem::transmute::<*const (), Unary>(ffi::PyObject_Str as *const ()) })
}

/// Puts this thread to sleep for good if it is unwound by anything but a panic. It is a daemon thread, which nobody
/// waits for, and the process is about to end.
pub struct ParkIfEnded;

impl Drop for ParkIfEnded {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            loop {
                std::thread::park();
            }
        }
    }
}

/// Runs `call`, which calls Python. Should the thread be ended in it, it sleeps before anything of ours is dropped: it
/// has not got the GIL.
fn parked_if_ended<R>(call: impl FnOnce() -> R) -> R {
    let guard = ParkIfEnded;
    let result = call();
    std::mem::forget(guard);
    result
}

/// `object.name(*positional, **named)`: the object first in `arguments`, the named ones, whose names are `names`, last.
pub fn method<'py, const N: usize>(
    name: &Bound<'py, PyString>,
    arguments: [&Bound<'py, PyAny>; N],
    names: Option<&Bound<'py, PyTuple>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = name.py();
    let pointers = arguments.map(|argument| argument.as_ptr());
    let positional = N - names.map_or(0, |names| names.len());
    let names = names.map_or(std::ptr::null_mut(), |names| names.as_ptr());
    #[allow(unsafe_code)]
    // SAFETY: the pointers are to living objects, borrowed for the call, and as many as their count says; the result is
    // a new reference, or null with an exception set.
    unsafe {
        let call = vectorcall_method();
        let result = parked_if_ended(|| call(name.as_ptr(), pointers.as_ptr(), positional, names));
        Bound::from_owned_ptr_or_err(py, result)
    }
}

/// `str(object)`.
pub fn str<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    #[allow(unsafe_code)]
    // SAFETY: the object lives; the result is a new reference to a str, or null with an exception set.
    unsafe {
        let call = object_str();
        let text = parked_if_ended(|| call(object.as_ptr()));
        Ok(Bound::from_owned_ptr_or_err(object.py(), text)?.cast_into_unchecked())
    }
}
