//! Events and links as objects for whoever reads a span.

use std::borrow::Cow;

use otel_rs_core::otlp::{Fields, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::convert::attributes::Originals;
use crate::convert::read::put_key_value;
use crate::convert::snapshot::put_originals;
use crate::py::once::intern;
use crate::py::upstream::upstream;
use crate::trace::span::part::Part;
use crate::trace::span::state::{ReadSide, Recorded};

/// An event or link, copied so that no lock is held while an object is made of it.
pub struct Copied {
    message: Vec<u8>,
    context: Option<Py<PyAny>>,
    originals: Originals,
}

impl Copied {
    pub fn all(py: Python<'_>, recorded: Option<&Recorded>) -> Vec<Self> {
        let Some(recorded) = recorded else { return Vec::new() };
        let messages = recorded.messages.iter().zip(&recorded.read_side);
        messages.map(|(message, read_side)| Self::new(py, message, read_side)).collect()
    }

    pub fn new(py: Python<'_>, message: &[u8], read_side: &ReadSide) -> Self {
        let originals = read_side.originals.iter().flat_map(|originals| originals.iter());
        Self {
            message: message.to_vec(),
            context: read_side.context.as_ref().map(|context| context.clone_ref(py)),
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
        let (mut name, mut time, mut dropped) = (Cow::default(), 0, 0);
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
        upstream(py)?.event.bind(py).call1((PyString::new(py, &name), bounded(attributes, dropped)?, time))
    }

    /// `Span.Link`: attributes 4, dropped attributes 5; its context is kept as an object.
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
        upstream(py)?.link.bind(py).call1((self.context, bounded(attributes, dropped)?))
    }
}

/// A `BoundedAttributes` as upstream keeps those of events and links, with the count of dropped ones.
fn bounded(attributes: Bound<'_, PyDict>, dropped: u64) -> PyResult<Bound<'_, PyAny>> {
    let py = attributes.py();
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "attributes"), attributes)?;
    let bounded = upstream(py)?.bounded_attributes.bind(py).call((), Some(&keywords))?;
    bounded.setattr(intern!(py, "dropped"), dropped)?;
    Ok(bounded)
}
