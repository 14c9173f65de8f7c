//! The names that upstream keeps to itself. Reading a container takes hold of it; setting one replaces it.

use std::sync::atomic::Ordering;

use pyo3::prelude::*;

use crate::trace::arguments::Flag;
use crate::trace::span::Span;
use crate::trace::span::part::Part;

#[pymethods]
impl Span {
    #[getter]
    fn _name(&self, py: Python<'_>) -> Py<PyAny> {
        self.name(py)
    }

    #[setter(_name)]
    fn put_name(&self, name: Py<PyAny>) {
        let _replaced = std::mem::replace(&mut self.lock().name, name);
    }

    #[getter]
    fn _end_time(&self) -> Option<u64> {
        self.end_time()
    }

    #[setter(_end_time)]
    fn put_end_time(&self, time: Option<u64>) {
        self.lock().end_time = time;
    }

    #[getter]
    fn _status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.status(py)
    }

    #[setter(_status)]
    fn put_status(&self, status: Py<PyAny>) {
        self.put_part(Part::Status, status);
    }

    #[getter]
    fn _context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.context(py)
    }

    #[setter(_context)]
    fn put_context(&self, context: Py<PyAny>) {
        self.put_part(Part::Context, context);
    }

    #[getter]
    fn _parent<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.parent(py)
    }

    #[setter(_parent)]
    fn put_parent(&self, parent: Py<PyAny>) {
        self.put_part(Part::Parent, parent);
    }

    #[getter]
    fn _kind(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.kind(py)
    }

    #[setter(_kind)]
    fn put_kind(&self, kind: Py<PyAny>) {
        self.put_part(Part::Kind, kind);
    }

    #[getter]
    fn _start_time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.start_time(py)
    }

    #[setter(_start_time)]
    fn put_start_time(&self, time: Py<PyAny>) {
        self.put_part(Part::StartTime, time);
    }

    #[getter]
    fn _attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.hold_attributes(py)
    }

    #[setter(_attributes)]
    fn put_attributes(&self, attributes: Py<PyAny>) {
        self.put_part(Part::Attributes, attributes);
    }

    #[getter]
    fn _events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.hold_list(py, Part::Events)
    }

    #[setter(_events)]
    fn put_events(&self, events: Py<PyAny>) {
        self.put_part(Part::Events, events);
    }

    #[getter]
    fn _links<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.hold_list(py, Part::Links)
    }

    #[setter(_links)]
    fn put_links(&self, links: Py<PyAny>) {
        self.put_part(Part::Links, links);
    }

    #[getter]
    fn _resource(&self, py: Python<'_>) -> Py<PyAny> {
        self.resource(py)
    }

    #[setter(_resource)]
    fn put_resource(&self, resource: Py<PyAny>) {
        self.put_part(Part::Resource, resource);
    }

    #[getter]
    fn _instrumentation_scope(&self, py: Python<'_>) -> Py<PyAny> {
        self.instrumentation_scope(py)
    }

    #[setter(_instrumentation_scope)]
    fn put_instrumentation_scope(&self, scope: Py<PyAny>) {
        self.put_part(Part::InstrumentationScope, scope);
    }

    #[getter]
    fn _instrumentation_info(&self, py: Python<'_>) -> Py<PyAny> {
        self.part(py, Part::InstrumentationInfo).unwrap_or_else(|| self.tracer.get().instrumentation_info(py))
    }

    #[setter(_instrumentation_info)]
    fn put_instrumentation_info(&self, info: Py<PyAny>) {
        self.put_part(Part::InstrumentationInfo, info);
    }

    #[getter]
    fn _tracer(&self, py: Python<'_>) -> Py<PyAny> {
        self.tracer.clone_ref(py).into_any()
    }

    #[getter]
    fn _record_exception(&self) -> bool {
        self.record_exception.load(Ordering::Relaxed)
    }

    #[setter(_record_exception)]
    fn put_record_exception(&self, record: Flag) {
        self.record_exception.store(record.0, Ordering::Relaxed);
    }

    #[getter]
    fn _set_status_on_exception(&self) -> bool {
        self.set_status_on_exception.load(Ordering::Relaxed)
    }

    #[setter(_set_status_on_exception)]
    fn put_set_status_on_exception(&self, set: Flag) {
        self.set_status_on_exception.store(set.0, Ordering::Relaxed);
    }
}
