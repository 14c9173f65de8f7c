//! Parts of a span that Python code has taken hold of, or put in place, through the names that upstream keeps to itself
//! (`span._attributes["k"] = ...`, `span._resource = ...`), as processors in the wild do. Such a part is a Python
//! object from then on, upstream's own kind of it; the others stay in their wire form.

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::py::once::intern;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Context,
    Parent,
    Kind,
    StartTime,
    Attributes,
    Events,
    Links,
    Status,
    Resource,
    InstrumentationScope,
    InstrumentationInfo,
}

const COUNT: usize = Part::InstrumentationInfo as usize + 1;

#[derive(Default)]
pub struct Parts(pub [Option<Py<PyAny>>; COUNT]);

impl Parts {
    pub fn get(&self, part: Part) -> Option<&Py<PyAny>> {
        self.0[part as usize].as_ref()
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.iter().try_for_each(|part| visit.call(part))
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(std::array::from_fn(|at| self.0[at].as_ref().map(|part| part.clone_ref(py))))
    }
}

/// `dropped` of upstream's bounded containers; 0 for anything else.
pub fn dropped(container: &Bound<'_, PyAny>) -> u32 {
    container.getattr_opt(intern!(container.py(), "dropped")).ok().flatten().and_then(|d| d.extract().ok()).unwrap_or(0)
}
