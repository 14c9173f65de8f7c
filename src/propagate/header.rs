//! A header as a getter gives it.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use smallvec::{SmallVec, smallvec};

/// What a getter gives.
pub enum Header<'py> {
    Missing,
    One(Bound<'py, PyAny>),
    /// Anything else that it returned.
    Returned(Bound<'py, PyAny>),
}

/// The first of a header's values.
pub enum First<'py> {
    Missing,
    Text(Bound<'py, PyString>),
    Other,
}

impl<'py> First<'py> {
    #[inline]
    fn of(value: &Bound<'py, PyAny>) -> Self {
        value.cast_exact::<PyString>().map_or(Self::Other, |text| Self::Text(text.clone()))
    }
}

impl<'py> Header<'py> {
    #[inline]
    pub fn first(&self) -> First<'py> {
        match self {
            Self::Missing => First::Missing,
            Self::One(value) => First::of(value),
            Self::Returned(values) => match values.cast_exact::<PyList>() {
                Ok(values) => values.get_item(0).map_or(First::Missing, |value| First::of(&value)),
                Err(_) => First::Other,
            },
        }
    }

    /// The texts of all its values; None if it has other things.
    pub fn texts(&self) -> Option<SmallVec<[Bound<'py, PyString>; 1]>> {
        match self {
            Self::Missing => Some(SmallVec::new()),
            Self::One(value) => value.cast_exact::<PyString>().ok().map(|text| smallvec![text.clone()]),
            Self::Returned(values) => {
                let values = values.cast_exact::<PyList>().ok()?;
                values.iter().map(|value| value.cast_into_exact::<PyString>().ok()).collect()
            }
        }
    }

    /// As a getter returns it.
    pub fn returned(&self, py: Python<'py>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Missing => Ok(py.None()),
            Self::One(value) => Ok(PyList::new(py, [value])?.into_any().unbind()),
            Self::Returned(values) => Ok(values.clone().unbind()),
        }
    }
}
