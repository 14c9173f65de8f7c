//! Python classes whose methods native code leaves out, as long as nobody has changed them.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

/// A class that was looked at, and the version that CPython had given it by then.
///
/// CPython gives a class a new version when it, or a base of it, is changed, and none twice.
pub struct KnownClass {
    /// Null, or a class that is never freed.
    class: AtomicPtr<ffi::PyTypeObject>,
    version: AtomicU32,
    /// How many attributes an object has, if nobody has set another.
    attributes: usize,
    /// Whether the class is as it was written.
    is_unchanged: fn(&Bound<'_, PyType>) -> PyResult<bool>,
}

impl KnownClass {
    pub const fn new(attributes: usize, is_unchanged: fn(&Bound<'_, PyType>) -> PyResult<bool>) -> Self {
        Self { class: AtomicPtr::new(ptr::null_mut()), version: AtomicU32::new(0), attributes, is_unchanged }
    }

    pub fn is_set(&self) -> bool {
        !self.class.load(Ordering::Relaxed).is_null()
    }

    /// The first one stays.
    pub fn set(&self, class: &Bound<'_, PyType>) {
        let pointer = class.as_type_ptr();
        if self.class.compare_exchange(ptr::null_mut(), pointer, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            std::mem::forget(class.clone());
        }
    }

    /// Whether the object is of this very class, and neither it nor the class has been changed.
    #[inline]
    pub fn is_class_of(&self, object: &Bound<'_, PyAny>) -> bool {
        self.attributes_of(object).is_some()
    }

    /// The attributes of an object of this very class, if neither it nor the class has been changed.
    #[inline]
    pub fn attributes_of<'py>(&self, object: &Bound<'py, PyAny>) -> Option<Bound<'py, PyDict>> {
        self.any_attributes_of(object).filter(|attributes| attributes.len() == self.attributes)
    }

    /// The attributes of an object of this very class, if the class has not been changed.
    #[inline]
    pub fn any_attributes_of<'py>(&self, object: &Bound<'py, PyAny>) -> Option<Bound<'py, PyDict>> {
        let is_of_class = object.get_type_ptr() == self.class.load(Ordering::Relaxed);
        (is_of_class && self.is_as_seen(object)).then(|| attributes(object)).flatten()
    }

    #[inline]
    fn is_as_seen(&self, object: &Bound<'_, PyAny>) -> bool {
        let version = version(object.get_type_ptr());
        let is_known = version != 0 && version == self.version.load(Ordering::Relaxed);
        is_known || self.look(&object.get_type())
    }

    #[cold]
    fn look(&self, class: &Bound<'_, PyType>) -> bool {
        // Looking makes CPython give the class a version.
        let _ = (self.is_unchanged)(class);
        let seen = version(class.as_type_ptr());
        let is_unchanged = (self.is_unchanged)(class).unwrap_or(false);
        if is_unchanged && seen == version(class.as_type_ptr()) {
            self.version.store(seen, Ordering::Relaxed);
        }
        is_unchanged
    }
}

/// Zero where CPython has given none.
#[inline]
fn version(class: *mut ffi::PyTypeObject) -> u32 {
    #[allow(unsafe_code)]
    // SAFETY: the class lives, for the caller has it or an object of it; the field is aligned; other threads change it,
    // so the read is atomic.
    unsafe {
        AtomicU32::from_ptr(&raw mut (*class).tp_version_tag).load(Ordering::Relaxed)
    }
}

#[inline]
fn attributes<'py>(object: &Bound<'py, PyAny>) -> Option<Bound<'py, PyDict>> {
    #[allow(unsafe_code)]
    // SAFETY: gives a new reference to the object's dict, or null with an exception set.
    let attributes = unsafe {
        let dict = ffi::PyObject_GenericGetDict(object.as_ptr(), ptr::null_mut());
        Bound::from_owned_ptr_or_err(object.py(), dict)
    };
    attributes.ok()?.cast_into_exact().ok()
}
