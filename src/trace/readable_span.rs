//! The read side: `ReadableSpan`'s properties, made from the wire form when they are asked for.

use pyo3::IntoPyObjectExt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyMappingProxy, PyString, PyTuple};

use crate::convert::attributes::Originals;
use crate::convert::read::{Snapshot, put_key_value, put_originals};
use crate::otlp::wire::{Fields, Value};
use crate::trace::api::api;
use crate::trace::parts::{Part, dropped};
use crate::trace::span::Span;
use crate::trace::span_state::{Beside, Recorded};
use crate::trace::thread_end::outlast_exit;

impl Span {
    fn snapshot(&self, py: Python<'_>) -> Snapshot {
        outlast_exit();
        Snapshot::of(py, &self.lock().attributes)
    }
}

/// An event or link, copied so that no lock is held while an object is made of it.
pub struct Copied {
    message: Vec<u8>,
    context: Option<Py<PyAny>>,
    originals: Originals,
}

impl Copied {
    pub fn all(py: Python<'_>, recorded: Option<&Recorded>) -> Vec<Self> {
        let Some(recorded) = recorded else { return Vec::new() };
        let messages = recorded.messages.iter().zip(&recorded.beside);
        messages.map(|(message, beside)| Self::new(py, message, beside)).collect()
    }

    pub fn new(py: Python<'_>, message: &[u8], beside: &Beside) -> Self {
        let originals = beside.originals.iter().flat_map(|originals| originals.iter());
        Self {
            message: message.to_vec(),
            context: beside.context.as_ref().map(|context| context.clone_ref(py)),
            originals: originals.map(|(key, value)| (key.clone(), value.clone_ref(py))).collect(),
        }
    }

    /// An `Event` or a `Link`.
    pub fn object<'py>(self, py: Python<'py>, part: Part) -> PyResult<Bound<'py, PyAny>> {
        if part == Part::Events { self.event(py) } else { self.link(py) }
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

impl Span {
    /// The events or links; where there are none, none are made.
    fn list<'py>(&self, py: Python<'py>, part: Part) -> PyResult<Bound<'py, PyTuple>> {
        let held = self.part(py, part);
        if held.is_none() && self.lock().recorded(part).is_none() {
            return Ok(PyTuple::empty(py));
        }
        // Those who read an event may write to it.
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
    pub(super) fn name(&self, py: Python<'_>) -> Py<PyAny> {
        self.lock().name.clone_ref(py)
    }

    #[getter]
    pub(super) fn context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.part(py, Part::Context) {
            Some(context) => Ok(context.into_bound(py)),
            None => Ok(self.context.object(py, api(py)?)?.clone()),
        }
    }

    #[getter]
    pub(super) fn kind(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.part(py, Part::Kind) {
            Some(kind) => Ok(kind),
            None => Ok(api(py)?.kinds[usize::from(self.kind)].clone_ref(py)),
        }
    }

    #[getter]
    pub(super) fn parent<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(parent) = self.part(py, Part::Parent) {
            return Ok(Some(parent.into_bound(py)));
        }
        self.parent.as_ref().map(|parent| Ok(parent.object(py, api(py)?)?.clone())).transpose()
    }

    #[getter]
    pub(super) fn start_time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.part(py, Part::StartTime) {
            Some(time) => Ok(time.into_bound(py)),
            None => self.start_time.into_bound_py_any(py),
        }
    }

    #[getter]
    pub(super) fn end_time(&self) -> Option<u64> {
        self.lock().end_time
    }

    #[getter]
    pub(super) fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        outlast_exit();
        let (code, message) = {
            let state = self.lock();
            (state.status, state.status_message.as_ref().map(|message| message.clone_ref(py)))
        };
        let api = api(py)?;
        api.status.bind(py).call1((&api.status_codes[code as usize], message))
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
    pub(super) fn resource(&self, py: Python<'_>) -> Py<PyAny> {
        self.part(py, Part::Resource).unwrap_or_else(|| self.identity.resource(py))
    }

    #[getter]
    pub(super) fn instrumentation_scope(&self, py: Python<'_>) -> Py<PyAny> {
        self.part(py, Part::InstrumentationScope).unwrap_or_else(|| self.tracer.get().instrumentation_scope(py))
    }
}
