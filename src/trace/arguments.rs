//! Arguments of the span API, as Python gives them.

use pyo3::prelude::*;

/// A flag, given as any object that is true or false.
pub struct Flag(pub bool);

impl<'py> FromPyObject<'_, 'py> for Flag {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        object.is_truthy().map(Self)
    }
}

/// An argument that is not None.
pub fn not_none<'a, 'py>(argument: Option<&'a Bound<'py, PyAny>>) -> Option<&'a Bound<'py, PyAny>> {
    argument.filter(|argument| !argument.is_none())
}

/// As `not_none`, of one that may be left out.
#[inline]
pub fn given<'a, 'py>(argument: &'a Option<Borrowed<'_, 'py, PyAny>>) -> Option<&'a Bound<'py, PyAny>> {
    not_none(argument.as_deref())
}

/// A flag that is true where it is left out.
#[inline]
pub fn flag(argument: Option<Borrowed<'_, '_, PyAny>>) -> PyResult<bool> {
    argument.map_or(Ok(true), |argument| argument.is_truthy())
}
