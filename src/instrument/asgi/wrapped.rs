//! What functions have that wrap others, as `functools.wraps` gives it to them.

use std::sync::Mutex;

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{PyTraverseError, PyVisit};

use crate::py::once::intern;

/// A callable of the server's in whose place another comes.
pub struct Wrapped {
    pub original: Py<PyAny>,
    /// A coroutine function, of whose kind the other is: `inspect` looks at its code.
    pattern: Py<PyAny>,
    /// What a program has set.
    attributes: Mutex<Option<Py<PyDict>>>,
}

impl Wrapped {
    pub fn new(original: Py<PyAny>, pattern: Py<PyAny>) -> Self {
        Self { original, pattern, attributes: Mutex::new(None) }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.original)?;
        match self.attributes.try_lock() {
            Ok(attributes) => visit.call(&*attributes),
            Err(_) => Ok(()),
        }
    }

    /// The `__dict__`: what a program has set, and what the original had by then.
    pub fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        if let Some(attributes) = self.known(py) {
            return Ok(attributes);
        }
        let made = PyDict::new(py);
        if let Some(originals) = self.original.bind(py).getattr_opt(intern!(py, "__dict__"))? {
            made.update(originals.cast()?)?;
        }
        made.set_item(intern!(py, "__wrapped__"), &self.original)?;
        let kept = self.lock().get_or_insert_with(|| made.clone().unbind()).clone_ref(py);
        Ok(kept.into_bound(py))
    }

    pub fn get<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        let py = name.py();
        if let Some(found) = self.attributes(py)?.get_item(name)? {
            return Ok(found);
        }
        let of = match name.to_str()? {
            "__name__" | "__qualname__" => match self.original.bind(py).getattr_opt(name)? {
                Some(found) => return Ok(found),
                None => &self.pattern,
            },
            "__code__" | "__defaults__" | "__kwdefaults__" | "__annotations__" | "__globals__" | "__closure__" => {
                &self.pattern
            }
            _ => return Err(PyAttributeError::new_err(format!("'function' object has no attribute '{name}'"))),
        };
        of.bind(py).getattr(name)
    }

    pub fn set<'py>(&self, py: Python<'py>, name: &Bound<'py, PyString>, value: &Bound<'py, PyAny>) -> PyResult<()> {
        self.attributes(py)?.set_item(name, value)
    }

    fn known<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyDict>> {
        self.lock().as_ref().map(|attributes| attributes.bind(py).clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Py<PyDict>>> {
        self.attributes.lock().unwrap_or_else(|e| e.into_inner())
    }
}
