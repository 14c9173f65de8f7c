//! The arguments of `extract` and `inject`, as CPython's vector calls give them.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use smallvec::SmallVec;

use crate::py::once::intern;

/// A call's arguments, borrowed: the positional ones, then those that `names` names.
pub struct Call<'a, 'py> {
    py: Python<'py>,
    pointers: &'a [*mut ffi::PyObject],
    names: Option<Bound<'py, PyTuple>>,
}

/// `carrier`, `context` and the getter or setter.
pub struct Arguments<'py> {
    pub carrier: Bound<'py, PyAny>,
    pub context: Option<Bound<'py, PyAny>>,
    pub accessor: Option<Bound<'py, PyAny>>,
}

impl<'a, 'py> Call<'a, 'py> {
    /// # Safety
    ///
    /// The pointers are what CPython gives a function with METH_FASTCALL and METH_KEYWORDS, and live for `'a`.
    #[allow(unsafe_code)]
    pub unsafe fn of(
        py: Python<'py>,
        pointers: *const *mut ffi::PyObject,
        positional: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> Self {
        // SAFETY: CPython gives null, or a tuple that lives as long as the call.
        let names = unsafe { Bound::from_borrowed_ptr_or_opt(py, names) };
        let names = names.and_then(|names| names.cast_into::<PyTuple>().ok());
        let count = positional as usize + names.as_ref().map_or(0, |names| names.len());
        // SAFETY: CPython gives as many pointers as there are arguments; null if there are none.
        let pointers = if count == 0 { &[] } else { unsafe { std::slice::from_raw_parts(pointers, count) } };
        Self { py, pointers, names }
    }

    /// None if they are not what the method takes: the method itself then says so.
    #[inline]
    pub fn arguments(&self, accessor: &Bound<'py, PyString>) -> Option<Arguments<'py>> {
        const COUNT: usize = 3;
        let named = self.names.as_ref().map_or(0, |names| names.len());
        let positional = self.pointers.len() - named;
        let mut found: [Option<Bound<'py, PyAny>>; COUNT] = [None, None, None];
        if positional > COUNT {
            return None;
        }
        for (place, &pointer) in self.pointers.iter().enumerate() {
            let place = match &self.names {
                Some(names) if place >= positional => {
                    let name = names.get_borrowed_item(place - positional).ok()?;
                    let known = [intern!(self.py, "carrier"), intern!(self.py, "context"), accessor];
                    known
                        .iter()
                        .position(|known| known.is(name))
                        .or_else(|| known.iter().position(|known| name.eq(known).unwrap_or(false)))?
                }
                _ => place,
            };
            #[allow(unsafe_code)]
            // SAFETY: the arguments live as long as the call.
            let argument = unsafe { Bound::from_borrowed_ptr(self.py, pointer) };
            if found[place].replace(argument).is_some() {
                return None;
            }
        }
        let [carrier, context, accessor] = found;
        let context = context.filter(|context| !context.is_none());
        Some(Arguments { carrier: carrier?, context, accessor })
    }

    /// Calls `function` with the same arguments, `this` before them.
    #[cold]
    pub fn forward(&self, function: &Py<PyAny>, this: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let mut pointers = SmallVec::<[*mut ffi::PyObject; 8]>::new();
        pointers.extend(this.map(|this| this.as_ptr()));
        pointers.extend_from_slice(self.pointers);
        let names = self.names.as_ref().map_or(std::ptr::null_mut(), |names| names.as_ptr());
        let positional = pointers.len() - self.names.as_ref().map_or(0, |names| names.len());
        #[allow(unsafe_code)]
        // SAFETY: the pointers are to living objects, and as many as their counts say; the result is a new reference, or
        // null with an exception set.
        unsafe {
            let result = ffi::PyObject_Vectorcall(function.as_ptr(), pointers.as_ptr(), positional, names);
            Bound::from_owned_ptr_or_err(self.py, result)
        }
    }
}
