//! The pairs of a dict, read without a call of Python for each.

#[cfg(not(Py_GIL_DISABLED))]
pub use borrowed::Pairs;
#[cfg(Py_GIL_DISABLED)]
pub use owned::Pairs;

/// With the GIL: the dict keeps its pairs alive, since nobody can change it while no Python code runs.
#[cfg(not(Py_GIL_DISABLED))]
mod borrowed {
    use pyo3::ffi;
    use pyo3::prelude::*;
    use pyo3::types::{PyDict, PyString};

    pub struct Pairs<'a, 'py>(&'a Bound<'py, PyDict>);

    impl<'a, 'py> Pairs<'a, 'py> {
        #[inline]
        pub fn of(dict: &'a Bound<'py, PyDict>) -> Self {
            Self(dict)
        }

        /// Calls `take` for each pair whose key is a plain text until it returns false; whether it took all.
        ///
        /// `take` must not run Python code while it returns true.
        #[inline]
        pub fn each_simple(&self, mut take: impl FnMut(&Bound<'py, PyString>, &Bound<'py, PyAny>) -> bool) -> bool {
            let py = self.0.py();
            let (mut position, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
            #[allow(unsafe_code)]
            // SAFETY: it is a dict. The references are borrowed from it, and it cannot change meanwhile: `take` runs no
            // Python code before it returns false.
            unsafe {
                while ffi::PyDict_Next(self.0.as_ptr(), &mut position, &mut key, &mut value) != 0 {
                    let key = Borrowed::from_ptr(py, key);
                    let value = Borrowed::from_ptr(py, value);
                    let Ok(key) = key.cast_exact::<PyString>() else { return false };
                    if !take(&key, &value) {
                        return false;
                    }
                }
            }
            true
        }
    }
}

/// Without the GIL: other threads may change the dict, so references are taken to all its pairs at one moment.
#[cfg(Py_GIL_DISABLED)]
mod owned {
    use std::marker::PhantomData;

    use pyo3::ffi;
    use pyo3::prelude::*;
    use pyo3::sync::critical_section::with_critical_section;
    use pyo3::types::{PyDict, PyString};
    use smallvec::SmallVec;

    pub struct Pairs<'a, 'py> {
        pairs: SmallVec<[(Bound<'py, PyAny>, Bound<'py, PyAny>); 16]>,
        /// As with the GIL.
        _dict: PhantomData<&'a Bound<'py, PyDict>>,
    }

    impl<'a, 'py> Pairs<'a, 'py> {
        pub fn of(dict: &'a Bound<'py, PyDict>) -> Self {
            let py = dict.py();
            let mut pairs = SmallVec::new();
            with_critical_section(dict, || {
                let (mut position, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
                #[allow(unsafe_code)]
                // SAFETY: it is a dict, and its critical section is held: nothing here gives it up, as taking a reference
                // neither waits nor runs Python code. So the pair lives until there is a reference to it.
                unsafe {
                    while ffi::PyDict_Next(dict.as_ptr(), &mut position, &mut key, &mut value) != 0 {
                        pairs.push((Bound::from_borrowed_ptr(py, key), Bound::from_borrowed_ptr(py, value)));
                    }
                }
            });
            Self { pairs, _dict: PhantomData }
        }

        /// Calls `take` for each pair whose key is a plain text until it returns false; whether it took all.
        pub fn each_simple(&self, mut take: impl FnMut(&Bound<'py, PyString>, &Bound<'py, PyAny>) -> bool) -> bool {
            self.pairs.iter().all(|(key, value)| key.cast_exact::<PyString>().is_ok_and(|key| take(key, value)))
        }
    }
}
