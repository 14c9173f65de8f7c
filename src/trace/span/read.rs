//! The read side: `ReadableSpan`'s properties, made from the wire form when they are asked for.

use std::sync::atomic::Ordering;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyMappingProxy, PyTuple};

use crate::convert::snapshot::Snapshot;
use crate::py::thread_end::outlast_exit;
use crate::py::upstream::upstream;
use crate::trace::span::Span;
use crate::trace::span::part::{Part, dropped};

impl Span {
    fn snapshot(&self, py: Python<'_>) -> Snapshot {
        outlast_exit();
        Snapshot::of(py, &self.lock().attributes)
    }
}

impl Span {
    /// The events or links.
    fn list<'py>(&self, py: Python<'py>, part: Part) -> PyResult<Bound<'py, PyTuple>> {
        let held = self.part(py, part);
        if held.is_none() && self.lock().recorded(part).is_none() {
            return Ok(PyTuple::empty(py));
        }
        // Whoever reads an event may change it.
        self.hold_list(py, part)?.try_iter()?.collect::<PyResult<Vec<_>>>().and_then(|all| PyTuple::new(py, all))
    }

    fn dropped_of(&self, py: Python<'_>, part: Part) -> u32 {
        match self.part(py, part) {
            Some(held) => dropped(held.bind(py)),
            None => self.lock().recorded(part).map_or(0, |recorded| recorded.messages.dropped()),
        }
    }
}

#[pymethods]
impl Span {
    #[getter]
    pub fn name(&self, py: Python<'_>) -> Py<PyAny> {
        self.lock().name.clone_ref(py)
    }

    #[getter]
    pub fn context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.part(py, Part::Context) {
            Some(context) => Ok(context.into_bound(py)),
            None => Ok(self.context.object(py, upstream(py)?)?.clone()),
        }
    }

    #[getter]
    pub fn kind(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.part(py, Part::Kind) {
            Some(kind) => Ok(kind),
            None => Ok(upstream(py)?.kinds[usize::from(self.kind)].clone_ref(py)),
        }
    }

    #[getter]
    pub fn parent<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(parent) = self.part(py, Part::Parent) {
            return Ok(Some(parent.into_bound(py)));
        }
        self.parent.as_ref().map(|parent| Ok(parent.object(py, upstream(py)?)?.clone())).transpose()
    }

    #[getter]
    pub fn start_time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.part(py, Part::StartTime) {
            Some(time) => Ok(time.into_bound(py)),
            None => self.start_time.into_bound_py_any(py),
        }
    }

    #[getter]
    pub fn end_time(&self) -> Option<u64> {
        self.lock().end_time
    }

    /// Whoever reads it may change it.
    #[getter]
    pub fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.hold_status(py)
    }

    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let attributes = match self.part(py, Part::Attributes) {
            Some(held) => held.into_bound(py),
            None => self.snapshot(py).into_dict(py)?.into_any(),
        };
        let attributes = if attributes.is_none() { PyDict::new(py).into_any() } else { attributes };
        Ok(PyMappingProxy::new(py, attributes.cast::<PyMapping>()?).into_any())
    }

    #[getter]
    fn events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.list(py, Part::Events)
    }

    #[getter]
    fn links<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.list(py, Part::Links)
    }

    #[getter]
    fn dropped_attributes(&self, py: Python<'_>) -> u32 {
        match self.part(py, Part::Attributes) {
            Some(held) => dropped(held.bind(py)),
            None => self.lock().attributes.wire.version().dropped,
        }
    }

    #[getter]
    fn dropped_events(&self, py: Python<'_>) -> u32 {
        self.dropped_of(py, Part::Events)
    }

    #[getter]
    fn dropped_links(&self, py: Python<'_>) -> u32 {
        self.dropped_of(py, Part::Links)
    }

    #[getter]
    pub fn resource(&self, py: Python<'_>) -> Py<PyAny> {
        self.origin_was_read.store(true, Ordering::Relaxed);
        self.part(py, Part::Resource).unwrap_or_else(|| self.origin.resource(py))
    }

    #[getter]
    pub fn instrumentation_scope(&self, py: Python<'_>) -> Py<PyAny> {
        self.origin_was_read.store(true, Ordering::Relaxed);
        self.part(py, Part::InstrumentationScope).unwrap_or_else(|| self.tracer.get().instrumentation_scope(py))
    }
}
