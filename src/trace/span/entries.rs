//! Events and links of a span.

use otel_rs_core::otlp::{self, EVENT_ATTRIBUTES, Fields, LINK_ATTRIBUTES, OutOfMemory, Value};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString, PyTuple};

use crate::convert::attributes::PyAttributes;
use crate::convert::exception_attributes::exception_attributes;
use crate::convert::fields;
use crate::convert::scratch::with_scratch;
use crate::convert::stock_span::put_link;
use crate::convert::value::is_mapping;
use crate::py::boundary::contained;
use crate::py::once::intern;
use crate::py::upstream::{Upstream, upstream};
use crate::py::{call, exception, log, text};
use crate::trace::arguments::not_none;
use crate::trace::span::Span;
use crate::trace::span::copied::Copied;
use crate::trace::span::part::Part;
use crate::trace::span::state::{ReadSide, Recorded};

impl Span {
    /// The links given at the start. A link that cannot be used is dropped alone.
    pub fn add_links(&self, py: Python<'_>, upstream: &Upstream, links: &Bound<'_, PyAny>) -> PyResult<()> {
        if !links.is_truthy()? {
            return Ok(());
        }
        for link in links.try_iter()? {
            let link = link?;
            let add = || {
                if link.is_truthy()? {
                    let attributes = link.getattr(intern!(py, "attributes"))?;
                    self.push_link(upstream, &link.getattr(intern!(py, "context"))?, Some(&attributes))?;
                }
                PyResult::Ok(())
            };
            if let Err(error) = add() {
                exception::swallow(py, "A link was dropped", error);
            }
        }
        Ok(())
    }

    fn push_link(
        &self,
        upstream: &Upstream,
        context: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = context.py();
        if !context.is_truthy()? {
            return Ok(());
        }
        let attributes = match attributes {
            Some(attributes) if attributes.is_truthy()? => Some(attributes),
            _ => None,
        };
        // `extend` ignores what is no mapping, with a log line.
        let has_attributes = attributes.map_or(Ok(false), is_mapping)?;
        let is_valid = context.getattr(intern!(py, "is_valid"))?.is_truthy()?;
        if !is_valid && !has_attributes && !context.getattr(intern!(py, "trace_state"))?.is_truthy()? {
            return Ok(());
        }
        let limits = self.limits();
        let mut converted = PyAttributes::new(LINK_ATTRIBUTES, limits.link_attributes);
        if let Some(attributes) = attributes {
            converted.extend(attributes, limits.value_len);
        }
        with_scratch(|framed| {
            let no_memory = |error: PyErr| match error.is_instance_of::<PyMemoryError>(py) {
                true => self.drop_entry(Part::Links, limits.links, OutOfMemory),
                false => error,
            };
            put_link(upstream, context, &converted, framed).map_err(no_memory)?;
            let read_side = ReadSide { context: Some(context.clone().unbind()), originals: converted.take_originals() };
            self.push(py, Part::Links, limits.links, framed, read_side)
        })
    }

    fn push_event(
        &self,
        name: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        timestamp: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let limits = self.limits();
        let mut converted = PyAttributes::new(EVENT_ATTRIBUTES, limits.event_attributes);
        if let Some(attributes) = not_none(attributes) {
            converted.extend(attributes, limits.value_len);
        }
        let time = fields::time_or_now(timestamp);
        let text = fields::name(name);
        with_scratch(|framed| {
            let text = text::utf8(&text);
            otlp::make_room_for_entry(framed, text.len(), &converted.wire)
                .map_err(|error| self.drop_entry(Part::Events, limits.events, error))?;
            otlp::put_event(framed, &text, time, &converted.wire);
            let read_side = ReadSide { context: None, originals: converted.take_originals() };
            self.push(name.py(), Part::Events, limits.events, framed, read_side)
        })
    }

    /// Counts an event or a link that there is no memory for, which is its error.
    #[cold]
    fn drop_entry(&self, part: Part, limit: Option<usize>, error: OutOfMemory) -> PyErr {
        let mut state = self.lock();
        if state.end_time.is_none() {
            Recorded::count_dropped(state.recorded_mut(part), limit);
        }
        exception::out_of_memory(error)
    }

    /// Puts an event or a link in place, unless the span has ended.
    fn push(
        &self,
        py: Python<'_>,
        part: Part,
        limit: Option<usize>,
        framed: &[u8],
        read_side: ReadSide,
    ) -> PyResult<()> {
        let mut read_side = Some(read_side);
        let (ended, held, pushed) = {
            let mut state = self.lock();
            let held = state.held(part).map(|list| list.clone_ref(py));
            let ended = state.end_time.is_some();
            let pushed = match read_side.take_if(|_| !ended && held.is_none()) {
                Some(read_side) => Recorded::push(state.recorded_mut(part), limit, framed, read_side),
                None => Ok(None),
            };
            (ended, held, pushed)
        };
        let _gone = pushed.map_err(|_unused| exception::out_of_memory(OutOfMemory))?;
        if ended {
            let call = if part == Part::Events { "_add_event" } else { "_add_link" };
            log::warning(py, &format!("Tried calling {call} on an ended span."));
        } else if let (Some(list), Some(read_side)) = (held, read_side)
            && let Some((_, Value::Bytes(message))) = Fields::of(framed).next()
        {
            let object = Copied::new(py, message, &read_side).object(py, part)?;
            list.bind(py).call_method1(intern!(py, "append"), (object,))?;
        }
        Ok(())
    }
}

#[pymethods]
impl Span {
    /// Adds an event: a name, attributes, and a time in nanoseconds since the epoch, by default the current one.
    #[pyo3(signature = (name, attributes=None, timestamp=None))]
    fn add_event(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        timestamp: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let work = || {
            if let Err(error) = self.push_event(name, attributes, timestamp) {
                exception::swallow(py, "An event was dropped", error);
            }
            Ok(())
        };
        contained(py, "add_event", work, || Ok(()))
    }

    /// Adds a link to another span's context.
    #[pyo3(signature = (context, attributes=None))]
    fn add_link(
        &self,
        py: Python<'_>,
        context: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let work = || {
            if let Err(error) = self.push_link(upstream(py)?, context, attributes) {
                exception::swallow(py, "A link was dropped", error);
            }
            Ok(())
        };
        contained(py, "add_link", work, || Ok(()))
    }

    /// Adds the event that stands for an exception, with its type, message and stack trace.
    #[pyo3(signature = (exception, attributes=None, timestamp=None, escaped=None))]
    fn record_exception(
        slf: &Bound<'_, Self>,
        exception: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        timestamp: Option<&Bound<'_, PyAny>>,
        escaped: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let record = || {
            let not_escaped = PyBool::new(py, false).to_owned().into_any();
            let event = exception_attributes(exception)?;
            event.set_item(intern!(py, "exception.escaped"), escaped.unwrap_or(&not_escaped).str()?)?;
            if let Some(attributes) = not_none(attributes)
                && let Err(error) = event.call_method1(intern!(py, "update"), (attributes,))
            {
                exception::swallow(py, "Attributes ignored", error);
            }
            // By calling the method, since a subclass may override it.
            let names = ["name", "attributes", "timestamp"].map(|name| PyString::intern(py, name));
            let names = PyTuple::new(py, names)?;
            let none = py.None().into_bound(py);
            let name = intern!(py, "exception").as_any();
            let arguments = [slf.as_any(), name, event.as_any(), timestamp.unwrap_or(&none)];
            call::method(intern!(py, "add_event"), arguments, Some(&names)).map(drop)
        };
        let work = || {
            if let Err(error) = record() {
                exception::swallow(py, "An exception was not recorded", error);
            }
            Ok(())
        };
        contained(py, "record_exception", work, || Ok(()))
    }
}
