//! Attributes that an instrumentation collects.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{PyTraverseError, PyVisit};
use smallvec::SmallVec;

use crate::trace::span::Span;

/// Where attributes are collected: a dict, for Python code, or what native code needs.
pub trait Collect<'py> {
    /// `key` is interned, and has no value yet.
    fn add(&mut self, key: &Bound<'py, PyString>, value: &Bound<'py, PyAny>) -> PyResult<()>;

    /// `key` is interned.
    fn set(&mut self, key: &Bound<'py, PyString>, value: &Bound<'py, PyAny>) -> PyResult<()>;

    /// Lets Python code change them.
    fn change(&mut self, py: Python<'py>, by: impl FnOnce(&Bound<'py, PyDict>) -> PyResult<()>) -> PyResult<()>;
}

impl<'py> Collect<'py> for Bound<'py, PyDict> {
    fn add(&mut self, key: &Bound<'py, PyString>, value: &Bound<'py, PyAny>) -> PyResult<()> {
        self.set_item(key, value)
    }

    fn set(&mut self, key: &Bound<'py, PyString>, value: &Bound<'py, PyAny>) -> PyResult<()> {
        self.set_item(key, value)
    }

    fn change(&mut self, _py: Python<'py>, by: impl FnOnce(&Bound<'py, PyDict>) -> PyResult<()>) -> PyResult<()> {
        by(self)
    }
}

/// Attributes that no Python code has to see. Their keys are interned, so that equal keys are one object.
#[derive(Default)]
pub struct Collected(SmallVec<[(Py<PyString>, Py<PyAny>); 16]>);

impl Collected {
    pub fn of(attributes: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = attributes.py();
        let mut collected = Self::default();
        for (key, value) in attributes.copy()? {
            let key: String = key.extract()?;
            collected.add(&PyString::intern(py, &key), &value)?;
        }
        Ok(collected)
    }

    pub fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict_of(py, &self.0)
    }

    pub fn pairs(&self) -> &[(Py<PyString>, Py<PyAny>)] {
        &self.0
    }

    /// Sets them all in a span.
    pub fn set_in(&self, span: &Bound<'_, Span>) -> PyResult<()> {
        let py = span.py();
        if span.get().set_all_plain(py, self.0.iter().map(|(key, value)| (key.bind(py), value.bind(py)))) {
            return Ok(());
        }
        span.get().set_attributes(py, self.dict(py)?.as_any())
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.iter().try_for_each(|(_, value)| visit.call(value))
    }
}

pub fn dict_of<'py>(py: Python<'py>, pairs: &[(Py<PyString>, Py<PyAny>)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (key, value) in pairs {
        dict.set_item(key, value)?;
    }
    Ok(dict)
}

impl<'py> Collect<'py> for Collected {
    #[inline]
    fn add(&mut self, key: &Bound<'py, PyString>, value: &Bound<'py, PyAny>) -> PyResult<()> {
        self.0.push((key.clone().unbind(), value.clone().unbind()));
        Ok(())
    }

    fn set(&mut self, key: &Bound<'py, PyString>, value: &Bound<'py, PyAny>) -> PyResult<()> {
        let value = value.clone().unbind();
        match self.0.iter_mut().find(|(known, _)| known.is(key)) {
            Some(pair) => drop(std::mem::replace(&mut pair.1, value)),
            None => self.0.push((key.clone().unbind(), value)),
        }
        Ok(())
    }

    fn change(&mut self, py: Python<'py>, by: impl FnOnce(&Bound<'py, PyDict>) -> PyResult<()>) -> PyResult<()> {
        let dict = self.dict(py)?;
        by(&dict)?;
        *self = Self::of(&dict)?;
        Ok(())
    }
}
