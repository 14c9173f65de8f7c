//! Methods and properties of a native class that other classes may borrow (`class Mine: end = Span.end`). With an
//! object of another class upstream's own runs.
//!
//! A native class's own descriptors refuse such an object. These take any object and look at its class, because
//! native code relies on it.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyType;

const FAST: c_int = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;

/// `borrowable(_native.Span.end, opentelemetry.sdk.trace.Span.end)`: a descriptor like the native one, which calls
/// upstream's function or property with an object that is not native.
#[pyfunction]
pub fn borrowable<'py>(descriptor: &Bound<'py, PyAny>, upstream: Py<PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let class = descriptor.getattr("__objclass__")?.cast_into::<PyType>()?.unbind();
    #[allow(unsafe_code)]
    // SAFETY: an object of exactly this type is such a structure, and its definition is valid as long as its class.
    unsafe {
        let kind = ffi::Py_TYPE(descriptor.as_ptr());
        if kind == &raw mut ffi::PyMethodDescr_Type {
            let native = &*(*descriptor.as_ptr().cast::<ffi::PyMethodDescrObject>()).d_method;
            return borrowable_method(descriptor.py(), class, native, upstream);
        }
        if kind == &raw mut ffi::PyGetSetDescr_Type {
            let native = *(*descriptor.as_ptr().cast::<ffi::PyGetSetDescrObject>()).d_getset;
            return borrowable_property(descriptor.py(), Lent { class, native, upstream });
        }
    }
    Err(PyTypeError::new_err("neither a native method nor a native property"))
}

/// What a descriptor calls: the native function for an object of the class, otherwise what upstream has.
struct Lent<F> {
    class: Py<PyType>,
    native: F,
    upstream: Py<PyAny>,
}

impl<F> Lent<F> {
    /// Whether the native function may be called with the object.
    #[inline(always)]
    fn is_native(&self, object: *mut ffi::PyObject) -> bool {
        #[allow(unsafe_code)]
        // SAFETY: CPython calls with a living object, which keeps its type; this keeps the class.
        unsafe {
            ffi::PyObject_TypeCheck(object, self.class.as_ptr().cast()) != 0
        }
    }
}

// --- Methods ---------------------------------------------------------------------------------------------------------

/// CPython does not tell a C function which method it is called for: there is one function for each place.
struct Places<F: 'static, const COUNT: usize> {
    calls: [F; COUNT],
    lent: [OnceLock<Lent<F>>; COUNT],
}

static WITHOUT_ARGUMENTS: Places<ffi::PyCFunction, 8> = Places {
    calls: [
        call_without::<0>,
        call_without::<1>,
        call_without::<2>,
        call_without::<3>,
        call_without::<4>,
        call_without::<5>,
        call_without::<6>,
        call_without::<7>,
    ],
    lent: [const { OnceLock::new() }; 8],
};

static WITH_ARGUMENTS: Places<ffi::PyCFunctionFastWithKeywords, 16> = Places {
    calls: [
        call_with::<0>,
        call_with::<1>,
        call_with::<2>,
        call_with::<3>,
        call_with::<4>,
        call_with::<5>,
        call_with::<6>,
        call_with::<7>,
        call_with::<8>,
        call_with::<9>,
        call_with::<10>,
        call_with::<11>,
        call_with::<12>,
        call_with::<13>,
        call_with::<14>,
        call_with::<15>,
    ],
    lent: [const { OnceLock::new() }; 16],
};

impl<F: Copy, const COUNT: usize> Places<F, COUNT> {
    /// The function of the place where the method is, or of the next free one.
    fn place(&self, mut lent: Lent<F>) -> PyResult<F> {
        for (place, call) in self.lent.iter().zip(self.calls) {
            match place.set(lent) {
                Ok(()) => return Ok(call),
                Err(refused) => lent = refused,
            }
            // Asked for again, for a class that was made again.
            if place.get().is_some_and(|held| held.upstream.is(&lent.upstream)) {
                return Ok(call);
            }
        }
        Err(PyTypeError::new_err("more methods than places"))
    }
}

#[allow(unsafe_code)]
/// # Safety
///
/// `native` is the definition of a method of the class.
unsafe fn borrowable_method<'py>(
    py: Python<'py>,
    class: Py<PyType>,
    native: &ffi::PyMethodDef,
    upstream: Py<PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the flags tell which function it is, and ours has the same signature. CPython keeps a pointer to the
    // definition, which is never freed.
    unsafe {
        let call = match native.ml_flags {
            ffi::METH_NOARGS => {
                let native = native.ml_meth.PyCFunction;
                let call = WITHOUT_ARGUMENTS.place(Lent { class, native, upstream })?;
                ffi::PyMethodDefPointer { PyCFunction: call }
            }
            FAST => {
                let native = native.ml_meth.PyCFunctionFastWithKeywords;
                let call = WITH_ARGUMENTS.place(Lent { class, native, upstream })?;
                ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: call }
            }
            flags => return Err(PyTypeError::new_err(format!("a method with the flags {flags}"))),
        };
        let definition = Box::leak(Box::new(ffi::PyMethodDef { ml_meth: call, ..*native }));
        Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(&raw mut ffi::PyBaseObject_Type, definition))
    }
}

#[allow(unsafe_code)]
/// # Safety
///
/// As any function of a method definition with `METH_NOARGS`: called by CPython, with a living object.
unsafe extern "C" fn call_without<const PLACE: usize>(
    object: *mut ffi::PyObject,
    none: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let lent = WITHOUT_ARGUMENTS.lent[PLACE].get().expect("a descriptor is made after its place was filled");
    // SAFETY: the object is of the native function's class; upstream's takes any.
    unsafe {
        if lent.is_native(object) {
            (lent.native)(object, none)
        } else {
            ffi::PyObject_CallOneArg(lent.upstream.as_ptr(), object)
        }
    }
}

#[allow(unsafe_code)]
/// # Safety
///
/// As any function of a method definition with `METH_FASTCALL | METH_KEYWORDS`: called by CPython, with a living
/// object, `count` positional arguments, and one more for each of the `names`.
unsafe extern "C" fn call_with<const PLACE: usize>(
    object: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let lent = WITH_ARGUMENTS.lent[PLACE].get().expect("a descriptor is made after its place was filled");
    // SAFETY: the object is of the native function's class. Upstream's takes any, as the first argument.
    unsafe {
        if lent.is_native(object) {
            return (lent.native)(object, arguments, count, names);
        }
        let named = if names.is_null() { 0 } else { ffi::PyTuple_GET_SIZE(names) };
        let mut all = vec![object];
        all.extend((0..count + named).map(|at| *arguments.offset(at)));
        ffi::PyObject_Vectorcall(lent.upstream.as_ptr(), all.as_ptr(), count as usize + 1, names)
    }
}

// --- Properties ------------------------------------------------------------------------------------------------------

fn borrowable_property(py: Python<'_>, lent: Lent<ffi::PyGetSetDef>) -> PyResult<Bound<'_, PyAny>> {
    let native = lent.native;
    if native.get.is_none() || native.set.is_some() {
        return Err(PyTypeError::new_err("a property that can be set"));
    }
    let closure = ptr::from_mut(Box::leak(Box::new(lent))).cast();
    let definition = Box::leak(Box::new(ffi::PyGetSetDef { get: Some(get), closure, ..native }));
    #[allow(unsafe_code)]
    // SAFETY: CPython keeps a pointer to the definition, which is never freed.
    unsafe {
        Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewGetSet(&raw mut ffi::PyBaseObject_Type, definition))
    }
}

#[allow(unsafe_code)]
/// # Safety
///
/// As any getter: called by CPython, with a living object and the definition's closure, which is a `Lent`.
unsafe extern "C" fn get(object: *mut ffi::PyObject, closure: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: as above; it is never freed or changed. The object is of the native getter's class. CPython calls
    // on an attached thread.
    unsafe {
        let lent = &*closure.cast::<Lent<ffi::PyGetSetDef>>();
        match lent.native.get {
            Some(get) if lent.is_native(object) => get(object, lent.native.closure),
            _ => {
                let py = Python::assume_attached();
                upstream_value(lent.upstream.bind(py), &Bound::from_borrowed_ptr(py, object))
            }
        }
    }
}

/// A new reference to the value of upstream's property; null with an exception set.
fn upstream_value(property: &Bound<'_, PyAny>, object: &Bound<'_, PyAny>) -> *mut ffi::PyObject {
    match property.call_method1(intern!(object.py(), "__get__"), (object,)) {
        Ok(value) => value.into_ptr(),
        Err(error) => {
            error.restore(object.py());
            ptr::null_mut()
        }
    }
}
