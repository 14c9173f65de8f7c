//! Methods that take CPython's raw arguments (METH_FASTCALL with METH_KEYWORDS).
//!
//! PyO3 compares the text of each keyword with the parameters' names; for the methods of the hot path that is a fifth of
//! their cost. Callers' keywords are interned, so that comparing addresses is enough.

use std::ffi::{CStr, CString};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};
use smallvec::SmallVec;

use crate::py::once::Interned;

/// A call's arguments, borrowed: the positional ones, then those that `names` names.
pub struct Call<'a, 'py> {
    py: Python<'py>,
    pointers: &'a [*mut ffi::PyObject],
    names: Option<Borrowed<'a, 'py, PyTuple>>,
}

/// Arguments in the order of the parameters.
pub type Arguments<'a, 'py, const N: usize> = [Option<Borrowed<'a, 'py, PyAny>>; N];

impl<'a, 'py> Call<'a, 'py> {
    /// # Safety
    ///
    /// The pointers are what CPython gives a function with METH_FASTCALL and METH_KEYWORDS, and live for `'a`.
    #[allow(unsafe_code)]
    #[inline]
    pub unsafe fn of(
        py: Python<'py>,
        pointers: *const *mut ffi::PyObject,
        positional: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> Self {
        // SAFETY: CPython gives null, or a tuple that lives as long as the call.
        let names = unsafe { Borrowed::from_ptr_or_opt(py, names).map(|names| names.cast_unchecked::<PyTuple>()) };
        let count = positional as usize + names.map_or(0, |names| names.len());
        // SAFETY: CPython gives as many pointers as there are arguments; null if there are none.
        let pointers = if count == 0 { &[] } else { unsafe { std::slice::from_raw_parts(pointers, count) } };
        Self { py, pointers, names }
    }

    /// The arguments by the parameters' names; None if there is one too many or of another name.
    #[inline]
    pub fn arguments<const N: usize>(&self, parameters: &'static [Interned; N]) -> Option<Arguments<'a, 'py, N>> {
        let positional = self.positional_count();
        if positional > N {
            return None;
        }
        let mut found = [None; N];
        for (place, &pointer) in found.iter_mut().zip(&self.pointers[..positional]) {
            *place = Some(self.borrowed(pointer));
        }
        if let Some(names) = self.names {
            for (name, &pointer) in names.iter_borrowed().zip(&self.pointers[positional..]) {
                let place = parameters.iter().position(|known| known.get(self.py).is(name)).or_else(|| {
                    // Not interned: made at run time.
                    parameters.iter().position(|known| name.eq(known.get(self.py)).unwrap_or(false))
                })?;
                if found[place].replace(self.borrowed(pointer)).is_some() {
                    return None;
                }
            }
        }
        Some(found)
    }

    #[inline]
    fn borrowed(&self, pointer: *mut ffi::PyObject) -> Borrowed<'a, 'py, PyAny> {
        #[allow(unsafe_code)]
        // SAFETY: the arguments live as long as the call.
        unsafe {
            Borrowed::from_ptr(self.py, pointer)
        }
    }

    /// The positional argument at a place.
    #[inline]
    pub fn positional(&self, at: usize) -> Option<Borrowed<'a, 'py, PyAny>> {
        self.pointers[..self.positional_count()].get(at).map(|&pointer| self.borrowed(pointer))
    }

    pub fn positional_count(&self) -> usize {
        self.pointers.len() - self.names.map_or(0, |names| names.len())
    }

    /// Calls `function` with the same arguments.
    pub fn pass_on(&self, function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.call_after(function, &[])
    }

    /// Calls `function` with the same arguments, `this` before them.
    #[cold]
    pub fn forward(&self, function: &Py<PyAny>, this: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        match this {
            Some(this) => self.call_after(function.bind(self.py), &[this]),
            None => self.pass_on(function.bind(self.py)),
        }
    }

    /// Calls `function` with the same arguments, `first` before them.
    pub fn call_after(
        &self,
        function: &Bound<'py, PyAny>,
        first: &[&Bound<'py, PyAny>],
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut pointers = SmallVec::<[*mut ffi::PyObject; 8]>::new();
        pointers.extend(first.iter().map(|object| object.as_ptr()));
        pointers.extend_from_slice(self.pointers);
        let names = self.names.map_or(std::ptr::null_mut(), |names| names.as_ptr());
        let positional = pointers.len() - self.names.map_or(0, |names| names.len());
        #[allow(unsafe_code)]
        // SAFETY: the pointers are to living objects, and as many as their counts say; the result is a new reference, or
        // null with an exception set.
        unsafe {
            let result = ffi::PyObject_Vectorcall(function.as_ptr(), pointers.as_ptr(), positional, names);
            Bound::from_owned_ptr_or_err(self.py, result)
        }
    }
}

/// CPython's function from one of Rust's, which takes the object, if it is a method, and the call.
macro_rules! raw_function {
    ($function:expr) => {{
        #[allow(unsafe_code)]
        unsafe fn entry(
            py: pyo3::Python<'_>,
            this: *mut pyo3::ffi::PyObject,
            pointers: *const *mut pyo3::ffi::PyObject,
            positional: pyo3::ffi::Py_ssize_t,
            names: *mut pyo3::ffi::PyObject,
        ) -> pyo3::PyResult<*mut pyo3::ffi::PyObject> {
            const FUNCTION: $crate::py::fastcall::Function = $function;
            // SAFETY: CPython gives the object whose method it is (null to a function), and the arguments; all live as
            // long as the call.
            let (this, call) = unsafe {
                let this = pyo3::Bound::from_borrowed_ptr_or_opt(py, this);
                (this, $crate::py::fastcall::Call::of(py, pointers, positional, names))
            };
            FUNCTION(py, this.as_ref(), &call).map(pyo3::Bound::into_ptr)
        }
        pyo3::impl_::trampoline::get_trampoline_function!(fastcall_cfunction_with_keywords, entry)
    }};
}
pub(crate) use raw_function;

pub type Function =
    for<'a, 'py> fn(Python<'py>, Option<&Bound<'py, PyAny>>, &Call<'a, 'py>) -> PyResult<Bound<'py, PyAny>>;

fn definition(
    name: &str,
    doc: &'static CStr,
    function: ffi::PyCFunctionFastWithKeywords,
) -> PyResult<&'static mut ffi::PyMethodDef> {
    // CPython keeps the pointers.
    Ok(Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: CString::new(name)?.into_raw(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: function },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: doc.as_ptr(),
    })))
}

/// A method that takes objects of any class, for a class of Python's. `doc` begins with its signature.
pub fn new_method(
    py: Python<'_>,
    name: &str,
    doc: &'static CStr,
    function: ffi::PyCFunctionFastWithKeywords,
) -> PyResult<Py<PyAny>> {
    let definition = definition(name, doc, function)?;
    #[allow(unsafe_code)]
    // SAFETY: the definition lives for ever, and its flags say which signature the function has. The function takes
    // objects of any class. The result is a new reference, or null with an exception set.
    unsafe {
        let made = ffi::PyDescr_NewMethod(&raw mut ffi::PyBaseObject_Type, definition);
        Ok(Bound::from_owned_ptr_or_err(py, made)?.unbind())
    }
}

/// A function as if it was of the module. `doc` begins with its signature.
pub fn new_function(
    py: Python<'_>,
    module: &Bound<'_, PyString>,
    name: &str,
    doc: &'static CStr,
    function: ffi::PyCFunctionFastWithKeywords,
) -> PyResult<Py<PyAny>> {
    let definition = definition(name, doc, function)?;
    #[allow(unsafe_code)]
    // SAFETY: the definition lives for ever, and its flags say which signature the function has, which is called with
    // null for the object. The result is a new reference, or null with an exception set.
    unsafe {
        let made = ffi::PyCFunction_NewEx(definition, std::ptr::null_mut(), module.as_ptr());
        Ok(Bound::from_owned_ptr_or_err(py, made)?.unbind())
    }
}

/// A method that comes before the one that PyO3 made: that one says what it takes, and gets all that this one does not
/// take.
pub struct FastMethod {
    name: &'static str,
    function: ffi::PyCFunctionFastWithKeywords,
    made_by_pyo3: PyOnceLock<Py<PyAny>>,
}

impl FastMethod {
    /// # Safety
    ///
    /// The function is called with objects of the class that the method is put into.
    #[allow(unsafe_code)]
    pub const unsafe fn new(name: &'static str, function: ffi::PyCFunctionFastWithKeywords) -> Self {
        Self { name, function, made_by_pyo3: PyOnceLock::new() }
    }

    /// Puts the method into its class.
    pub fn put_into(&self, class: &Bound<'_, PyType>) -> PyResult<()> {
        let py = class.py();
        let before = class.getattr(self.name)?;
        let signature: String = before.getattr("__text_signature__")?.extract()?;
        let doc: Option<String> = before.getattr("__doc__")?.extract()?;
        let doc = format!("{}{signature}\n--\n\n{}", self.name, doc.unwrap_or_default());
        // CPython keeps the pointer.
        let doc = Box::leak(CString::new(doc)?.into_boxed_c_str());
        let definition = definition(self.name, doc, self.function)?;
        #[allow(unsafe_code)]
        // SAFETY: the definition lives for ever, and its flags say which signature the function has. CPython calls it
        // with objects of the class. The result is a new reference, or null with an exception set.
        let method =
            unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(class.as_type_ptr(), definition))? };
        let _ = self.made_by_pyo3.set(py, before.unbind());
        class.setattr(self.name, method)
    }

    /// Lets the method that PyO3 made do it.
    #[cold]
    pub fn forward<'py>(&self, call: &Call<'_, 'py>, this: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let before = self.made_by_pyo3.get(this.py()).expect("set before the method can be called");
        call.forward(before, Some(this))
    }
}

/// A `FastMethod` from a function of the object and the call; None stands for a call that it does not take.
macro_rules! fast_method {
    ($(#[$attribute:meta])* $visibility:vis static $method:ident: $class:ty, $name:literal, $function:path) => {
        $(#[$attribute])*
        $visibility static $method: $crate::py::fastcall::FastMethod = {
            #[allow(unsafe_code)]
            unsafe fn entry(
                py: pyo3::Python<'_>,
                this: *mut pyo3::ffi::PyObject,
                pointers: *const *mut pyo3::ffi::PyObject,
                positional: pyo3::ffi::Py_ssize_t,
                names: *mut pyo3::ffi::PyObject,
            ) -> pyo3::PyResult<*mut pyo3::ffi::PyObject> {
                // SAFETY: CPython gives an object of the class, and the arguments; all live as long as the call.
                let (this, call) = unsafe {
                    let this = pyo3::Borrowed::from_ptr(py, this);
                    (this.cast_unchecked::<$class>(), $crate::py::fastcall::Call::of(py, pointers, positional, names))
                };
                match $function(&this, &call)? {
                    Some(result) => Ok(result.into_ptr()),
                    None => $method.forward(&call, this.as_any()).map(pyo3::Bound::into_ptr),
                }
            }
            #[allow(unsafe_code)]
            // SAFETY: the method is put into this class.
            unsafe {
                $crate::py::fastcall::FastMethod::new(
                    $name,
                    pyo3::impl_::trampoline::get_trampoline_function!(fastcall_cfunction_with_keywords, entry),
                )
            }
        };
    };
}
pub(crate) use fast_method;
