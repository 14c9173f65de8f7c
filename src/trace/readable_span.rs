//! The read side: `ReadableSpan`'s properties, made from the wire form when they are asked for.
//!
//! The names with an underscore are upstream's own; its `to_json` and some third-party code read them.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::convert::attributes::Originals;
use crate::convert::read::{Snapshot, put_key_value, put_originals};
use crate::otlp::wire::{Fields, Value};
use crate::trace::api::api;
use crate::trace::span::Span;
use crate::trace::span_state::Recorded;

impl Span {
    fn snapshot(&self, py: Python<'_>) -> Snapshot {
        Snapshot::of(py, &self.lock().attributes)
    }
}

/// An event or link, copied so that no lock is held while an object is made of it.
struct Copied {
    message: Vec<u8>,
    context: Option<Py<PyAny>>,
    originals: Originals,
}

impl Copied {
    fn all(py: Python<'_>, recorded: Option<&Recorded>) -> Vec<Self> {
        let Some(recorded) = recorded else { return Vec::new() };
        let copy = |(message, beside): (&[u8], &super::span_state::Beside)| Self {
            message: message.to_vec(),
            context: beside.context.as_ref().map(|context| context.clone_ref(py)),
            originals: beside
                .originals
                .iter()
                .flat_map(|o| o.iter())
                .map(|(k, v)| (k.clone(), v.clone_ref(py)))
                .collect(),
        };
        recorded.messages.iter().zip(&recorded.beside).map(copy).collect()
    }

    /// `Span.Event`: time 1, name 2, attributes 3, dropped attributes 4.
    fn event<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let attributes = PyDict::new(py);
        let (mut name, mut time, mut dropped) = (std::borrow::Cow::default(), 0, 0);
        for field in Fields::of(&self.message) {
            match field {
                (1, Value::Fixed64(nanos)) => time = nanos,
                (2, Value::Bytes(text)) => name = String::from_utf8_lossy(text),
                (3, Value::Bytes(key_value)) => put_key_value(&attributes, key_value)?,
                (4, Value::Varint(count)) => dropped = count,
                _ => {}
            }
        }
        put_originals(&attributes, self.originals)?;
        api(py)?.event.bind(py).call1((PyString::new(py, &name), bounded(attributes, dropped)?, time))
    }

    /// `Span.Link`: attributes 4, dropped attributes 5; the context is kept beside it.
    fn link<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let attributes = PyDict::new(py);
        let mut dropped = 0;
        for field in Fields::of(&self.message) {
            match field {
                (4, Value::Bytes(key_value)) => put_key_value(&attributes, key_value)?,
                (5, Value::Varint(count)) => dropped = count,
                _ => {}
            }
        }
        put_originals(&attributes, self.originals)?;
        api(py)?.link.bind(py).call1((self.context, bounded(attributes, dropped)?))
    }
}

/// A `BoundedAttributes` as upstream keeps those of events and links, with the count of dropped ones.
fn bounded(attributes: Bound<'_, PyDict>, dropped: u64) -> PyResult<Bound<'_, PyAny>> {
    let py = attributes.py();
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "attributes"), attributes)?;
    let bounded = api(py)?.bounded_attributes.bind(py).call((), Some(&keywords))?;
    bounded.setattr(intern!(py, "dropped"), dropped)?;
    Ok(bounded)
}

#[pymethods]
impl Span {
    #[getter]
    fn name(&self, py: Python<'_>) -> Py<PyAny> {
        self.lock().name.clone_ref(py)
    }

    #[getter]
    fn context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.context.object(py, api(py)?)?.clone())
    }

    #[getter]
    fn kind(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(api(py)?.kinds[usize::from(self.kind)].clone_ref(py))
    }

    #[getter]
    fn parent<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.parent.as_ref().map(|parent| Ok(parent.object(py, api(py)?)?.clone())).transpose()
    }

    #[getter]
    fn start_time(&self) -> u64 {
        self.start_time
    }

    #[getter]
    fn end_time(&self) -> Option<u64> {
        self.lock().end_time
    }

    #[getter]
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (code, message) = {
            let state = self.lock();
            (state.status, state.status_message.as_ref().map(|message| message.clone_ref(py)))
        };
        let api = api(py)?;
        api.status.bind(py).call1((&api.status_codes[code as usize], message))
    }

    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let dict = self.snapshot(py).into_dict(py)?;
        Ok(pyo3::types::PyMappingProxy::new(py, dict.as_mapping()).into_any())
    }

    #[getter]
    fn events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let copied = Copied::all(py, self.lock().events.as_deref());
        let events: Vec<_> = copied.into_iter().map(|event| event.event(py)).collect::<PyResult<_>>()?;
        PyTuple::new(py, events)
    }

    #[getter]
    fn links<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let copied = Copied::all(py, self.lock().links.as_deref());
        let links: Vec<_> = copied.into_iter().map(|link| link.link(py)).collect::<PyResult<_>>()?;
        PyTuple::new(py, links)
    }

    #[getter]
    fn dropped_attributes(&self) -> u32 {
        self.lock().attributes.wire.dropped()
    }

    #[getter]
    fn dropped_events(&self) -> u32 {
        self.lock().events.as_ref().map_or(0, |events| events.messages.dropped())
    }

    #[getter]
    fn dropped_links(&self) -> u32 {
        self.lock().links.as_ref().map_or(0, |links| links.messages.dropped())
    }

    #[getter]
    fn resource(&self, py: Python<'_>) -> Py<PyAny> {
        self.tracer.get().resource(py)
    }

    #[getter]
    fn instrumentation_scope(&self, py: Python<'_>) -> Py<PyAny> {
        self.tracer.get().instrumentation_scope(py)
    }

    #[getter]
    fn _instrumentation_info(&self, py: Python<'_>) -> Py<PyAny> {
        self.tracer.get().instrumentation_info(py)
    }

    #[getter]
    fn _name(&self, py: Python<'_>) -> Py<PyAny> {
        self.name(py)
    }

    #[getter]
    fn _context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.context(py)
    }

    #[getter]
    fn _kind(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.kind(py)
    }

    #[getter]
    fn _parent<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.parent(py)
    }

    #[getter]
    fn _start_time(&self) -> u64 {
        self.start_time
    }

    #[getter]
    fn _end_time(&self) -> Option<u64> {
        self.end_time()
    }

    #[getter]
    fn _status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.status(py)
    }

    #[getter]
    fn _attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.snapshot(py).into_dict(py)
    }

    #[getter]
    fn _events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.events(py)
    }

    #[getter]
    fn _links<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.links(py)
    }

    #[getter]
    fn _resource(&self, py: Python<'_>) -> Py<PyAny> {
        self.resource(py)
    }

    #[getter]
    fn _instrumentation_scope(&self, py: Python<'_>) -> Py<PyAny> {
        self.instrumentation_scope(py)
    }
}
