//! The span as the application writes it. Its attributes, events and links are kept in their wire form; `end` frames
//! them for the pipelines, and no Python object goes further than that.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

use crate::convert::attributes::{self, PyAttributes, with_scratch};
use crate::convert::log;
use crate::convert::stock_span::put_link;
use crate::convert::text;
use crate::convert::value::is_mapping;
use crate::otlp::batch::Scope;
use crate::otlp::span::{self as wire, EVENT_ATTRIBUTES, LINK_ATTRIBUTES, StatusCode};
use crate::otlp::wire::{Fields, Value};
use crate::trace::api::{Api, api, position};
use crate::trace::boundary::contained;
use crate::trace::call;
use crate::trace::exception;
use crate::trace::parts::Part;
use crate::trace::readable_span::Copied;
use crate::trace::span_context::{SAMPLED, SpanContext};
use crate::trace::span_state::{Beside, Recorded, State};
use crate::trace::tracer::{Identity, SpanLimits, Tracer};

/// See `opentelemetry.sdk.trace.Span`; made by a tracer as an instance of `otel_rs.trace.Span`.
#[pyclass(frozen, subclass, module = "otel_rs._native")]
pub struct Span {
    pub(super) tracer: Py<Tracer>,
    /// Who the tracer was when the span started.
    pub(super) identity: Arc<Identity>,
    pub(super) context: SpanContext,
    pub(super) parent: Option<SpanContext>,
    /// Position in `Api::kinds`.
    pub(super) kind: u8,
    pub(super) start_time: u64,
    pub(super) record_exception: bool,
    pub(super) set_status_on_exception: bool,
    /// Called at the end, where the SDK's internal metrics are on.
    pub(super) end_metrics: Option<Py<PyAny>>,
    /// Whether `State::parts` has any.
    pub(super) has_parts: AtomicBool,
    pub(super) state: Mutex<State>,
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64)
}

/// A time in nanoseconds since the epoch; what is none costs one log line.
#[inline]
pub fn time_or_now(time: Option<&Bound<'_, PyAny>>) -> u64 {
    time.map_or_else(now, given_time)
}

pub fn given_time(time: &Bound<'_, PyAny>) -> u64 {
    if let Ok(nanos) = time.extract::<u64>() {
        return nanos;
    }
    match time.extract::<f64>() {
        // Negative times and NaN become zero, the epoch.
        Ok(nanos) => nanos as u64,
        Err(error) => {
            exception::ignore(time.py(), error);
            let message = format!("Invalid time of type `{}`, taking the current one.", log::type_name(time));
            log::warning(time.py(), &message);
            now()
        }
    }
}

/// Whether a `with` block records this: what derives from `BaseException` alone (GeneratorExit, KeyboardInterrupt) is
/// not an error of the operation.
pub(super) fn is_error(exception: &Bound<'_, PyAny>) -> bool {
    exception.is_instance_of::<PyException>()
}

/// `Status(ERROR, "Class: message")`.
fn exception_status<'py>(exception: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let api = api(exception.py())?;
    let description = format!("{}: {}", exception.get_type().name()?.to_string_lossy(), log::shown(exception));
    api.status.bind(exception.py()).call1((&api.status_codes[2], description))
}

/// A span's or event's name: the object itself if it is a text, else what stock sends for it, or `str` makes of it.
pub fn name_of<'py>(object: &Bound<'py, PyAny>) -> Bound<'py, PyString> {
    let py = object.py();
    if let Ok(text) = object.cast::<PyString>() {
        text.clone()
    } else if object.is_none() {
        PyString::new(py, "")
    } else if let Ok(bytes) = object.cast::<PyBytes>() {
        PyString::new(py, &String::from_utf8_lossy(bytes.as_bytes()))
    } else {
        PyString::new(py, &log::shown(object))
    }
}

fn given<'a, 'py>(argument: Option<&'a Bound<'py, PyAny>>) -> Option<&'a Bound<'py, PyAny>> {
    argument.filter(|argument| !argument.is_none())
}

impl Span {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().end_time.is_some()
    }

    pub(super) fn limits(&self) -> &SpanLimits {
        self.tracer.get().limits()
    }

    /// The links given at the start. One that is of no use costs itself.
    pub(super) fn add_links(&self, py: Python<'_>, api: &Api, links: &Bound<'_, PyAny>) -> PyResult<()> {
        if !links.is_truthy()? {
            return Ok(());
        }
        for link in links.try_iter()? {
            let link = link?;
            let add = || {
                if link.is_truthy()? {
                    let attributes = link.getattr(intern!(py, "attributes"))?;
                    self.push_link(api, &link.getattr(intern!(py, "context"))?, Some(&attributes))?;
                }
                PyResult::Ok(())
            };
            if let Err(error) = add() {
                exception::swallow(py, "A link was dropped", error);
            }
        }
        Ok(())
    }

    fn push_link(&self, api: &Api, context: &Bound<'_, PyAny>, attributes: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = context.py();
        if !context.is_truthy()? {
            return Ok(());
        }
        let attributes = match attributes {
            Some(attributes) if attributes.is_truthy()? => Some(attributes),
            _ => None,
        };
        // What is no mapping is ignored, with a log line.
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
            put_link(api, context, &converted, framed)?;
            let beside = Beside { context: Some(context.clone().unbind()), originals: converted.take_originals() };
            self.push(py, Part::Links, limits.links, framed, beside)
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
        if let Some(attributes) = given(attributes) {
            converted.extend(attributes, limits.value_len);
        }
        let time = time_or_now(timestamp);
        let text = name_of(name);
        with_scratch(|framed| {
            wire::put_event(framed, &text::utf8(&text), time, &converted.wire);
            let beside = Beside { context: None, originals: converted.take_originals() };
            self.push(name.py(), Part::Events, limits.events, framed, beside)
        })
    }

    /// Puts an event or a link in place, unless the span has ended.
    fn push(&self, py: Python<'_>, part: Part, limit: Option<usize>, framed: &[u8], beside: Beside) -> PyResult<()> {
        let mut beside = Some(beside);
        let (ended, held, _gone) = {
            let mut state = self.lock();
            let held = state.held(part).map(|list| list.clone_ref(py));
            let ended = state.end_time.is_some();
            let gone = match beside.take_if(|_| !ended && held.is_none()) {
                Some(beside) => Recorded::push(state.recorded_mut(part), limit, framed, beside),
                None => None,
            };
            (ended, held, gone)
        };
        if ended {
            let call = if part == Part::Events { "_add_event" } else { "_add_link" };
            log::warning(py, &format!("Tried calling {call} on an ended span."));
        } else if let (Some(list), Some(beside)) = (held, beside)
            && let Some((_, Value::Bytes(message))) = Fields::of(framed).next()
        {
            let object = Copied::new(py, message, &beside).object(py, part)?;
            list.bind(py).call_method1(intern!(py, "append"), (object,))?;
        }
        Ok(())
    }

    /// The usual case; false if key or value are not plain, or the span has ended.
    #[inline]
    fn set_plain_attribute(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> bool {
        let put = attributes::with_plain(key, value, self.limits().span_value_len, |put| {
            let mut state = self.lock();
            (state.end_time.is_none() && state.parts.is_none()).then(|| put(&mut state.attributes))
        });
        match put {
            Some(Some(put)) => {
                put.log(key.py());
                true
            }
            Some(None) | None => false,
        }
    }

    #[cold]
    fn set_any_attribute(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) {
        let py = key.py();
        if self.has_ended() {
            return log::warning(py, "Setting attribute on ended span.");
        }
        if let Some(held) = self.part(py, Part::Attributes) {
            if let Err(error) = held.bind(py).set_item(key, value) {
                exception::swallow(py, "An attribute was not set", error);
            }
            return;
        }
        let key = match key.cast::<PyString>() {
            Ok(key) if key.len().is_ok_and(|len| len > 0) => key.clone(),
            _ => {
                self.count_dropped_attributes(1);
                if log::warns(py) {
                    let shown = log::shown(key);
                    log::warning(
                        py,
                        &format!("invalid key `{shown}`. must be non-empty string. Dropping key from attributes."),
                    );
                }
                return;
            }
        };
        if self.limits().span_attributes == Some(0) {
            return self.count_dropped_attributes(1);
        }
        match attributes::convert(key, value, self.limits().span_value_len) {
            Some(converted) => self.put(py, converted),
            None => self.count_dropped_attributes(1),
        }
    }

    fn count_dropped_attributes(&self, count: u32) {
        let mut state = self.lock();
        if count > 0 && state.end_time.is_none() {
            state.attributes.wire.count_dropped(count);
        }
    }

    fn put(&self, py: Python<'_>, converted: attributes::Converted<'_>) {
        let (put, held, unused) = {
            let mut state = self.lock();
            match (state.end_time, state.held(Part::Attributes)) {
                (None, None) => (Some(converted.put_into(&mut state.attributes)), None, None),
                (None, Some(held)) => (None, Some(held.clone_ref(py)), Some(converted)),
                (Some(_), _) => (None, None, Some(converted)),
            }
        };
        match (put, held, unused) {
            (Some(put), ..) => put.log(py),
            (_, Some(held), Some(converted)) => {
                if let Err(error) = converted.set_in(held.bind(py)) {
                    exception::swallow(py, "An attribute was not set", error);
                }
            }
            _ => log::warning(py, "Setting attribute on ended span."),
        }
    }

    fn replace_status(&self, py: Python<'_>, status: StatusCode, message: Option<Py<PyString>>) {
        let (ended, _replaced) = {
            let mut state = self.lock();
            if state.end_time.is_some() {
                (true, message)
            } else if state.status == StatusCode::Ok {
                // OK is final.
                (false, message)
            } else {
                state.status = status;
                (false, std::mem::replace(&mut state.status_message, message))
            }
        };
        if ended {
            log::warning(py, "Tried calling set_status on an ended span.");
        }
    }

    fn set_status_code(
        &self,
        py: Python<'_>,
        status: StatusCode,
        description: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let mut message = None;
        if let Some(description) = given(description) {
            match description.cast::<PyString>() {
                Err(_) if description.is_truthy()? => {
                    log::warning(py, "Invalid status description type, expected str");
                }
                Err(_) => {}
                Ok(text) if status != StatusCode::Error && text.is_truthy()? => {
                    log::warning(py, "description should only be set when status_code is set to StatusCode.ERROR");
                }
                Ok(text) => message = Some(text.clone().unbind()),
            }
        }
        self.replace_status(py, status, message);
        Ok(())
    }

    fn set_any_status(
        &self,
        py: Python<'_>,
        status: &Bound<'_, PyAny>,
        description: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if self.has_ended() {
            log::warning(py, "Tried calling set_status on an ended span.");
            return Ok(());
        }
        let api = api(py)?;
        // UNSET is ignored, and so is what is neither.
        let code_of = |object: &Bound<'_, PyAny>| match position(&api.status_codes, object)? {
            1 => Some(StatusCode::Ok),
            2 => Some(StatusCode::Error),
            _ => None,
        };
        if let Some(code) = code_of(status) {
            return self.set_status_code(py, code, description);
        }
        if !status.is_instance(api.status.bind(py))? {
            return Ok(());
        }
        let Some(code) = code_of(&status.getattr(intern!(py, "status_code"))?) else { return Ok(()) };
        if let Some(description) = given(description) {
            let shown = log::shown(description);
            let message = format!("Description {shown} ignored. Use either `Status` or `(StatusCode, Description)`");
            log::warning(py, &message);
        }
        let message = status.getattr(intern!(py, "description"))?.cast_into::<PyString>().ok();
        self.replace_status(py, code, message.map(Bound::unbind));
        Ok(())
    }

    /// Records an exception that leaves a `with` block, as asked for at the start.
    pub(super) fn record_escaping(
        slf: &Bound<'_, Self>,
        exception: &Bound<'_, PyAny>,
        record: bool,
        set_status: bool,
        escaped: bool,
    ) -> PyResult<()> {
        let py = slf.py();
        if record {
            let method = intern!(py, "record_exception");
            if escaped {
                let names = PyTuple::new(py, [intern!(py, "escaped")])?;
                let escaped = PyBool::new(py, true).to_owned().into_any();
                call::method(method, [slf.as_any(), exception, &escaped], Some(&names))?;
            } else {
                call::method(method, [slf.as_any(), exception], None)?;
            }
        }
        if set_status {
            call::method(intern!(py, "set_status"), [slf.as_any(), &exception_status(exception)?], None)?;
        }
        Ok(())
    }

    /// `end`, for callers that are a boundary themselves.
    pub(super) fn end_now(slf: &Bound<'_, Self>, end_time: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let span = slf.get();
        let time = time_or_now(given(end_time));
        let (had_ended, held) = {
            let mut state = span.lock();
            let had_ended = state.end_time.is_some();
            state.end_time.get_or_insert(time);
            (had_ended, state.held(Part::Attributes).map(|held| held.clone_ref(py)))
        };
        if had_ended {
            log::warning(py, "Calling end() on an ended span.");
            return Ok(());
        }
        if let Some(held) = held
            && held.bind(py).is_instance(api(py)?.bounded_attributes.bind(py))?
        {
            held.setattr(py, intern!(py, "_immutable"), true)?;
        }
        if let Some(end_metrics) = &span.end_metrics
            && let Err(error) = end_metrics.call0(py)
        {
            exception::swallow(py, "The SDK's own metrics raised", error);
        }
        let processors = span.tracer.get().processors();
        if !processors.python.is_empty() {
            processors.on_ending(slf.as_any());
            processors.on_end(slf.as_any());
        }
        // Last: a Python processor may be there to keep something from being exported.
        if span.is_sampled(py)? && !processors.pipelines.is_empty() {
            with_scratch(|framed| {
                let scope = span.frame(py, framed);
                processors.pipelines.iter().for_each(|pipeline| pipeline.push(&scope, framed));
            });
        }
        log::drain_reports(py);
        Ok(())
    }

    fn is_sampled(&self, py: Python<'_>) -> PyResult<bool> {
        match self.part(py, Part::Context) {
            None => Ok(self.context.is_sampled()),
            Some(context) => {
                let flags: u8 = context.getattr(py, intern!(py, "trace_flags"))?.extract(py)?;
                Ok(flags & SAMPLED != 0)
            }
        }
    }

    /// Appends the span to `out` as the pipelines and exporters take it; returns who made it.
    pub fn frame(&self, py: Python<'_>, out: &mut Vec<u8>) -> Arc<Scope> {
        // What may run Python code comes before the lock.
        let differing = self.differing(py);
        let trace_state = self.context.trace_state_header(py).unwrap_or_else(|error| {
            exception::swallow(py, "A trace state was not exported", error);
            String::new()
        });
        let (name, message) = {
            let state = self.lock();
            (state.name.clone_ref(py), state.status_message.as_ref().map(|message| message.clone_ref(py)))
        };
        let name = name_of(name.bind(py));
        let name = text::utf8(&name);
        let message = message.as_ref().map(|message| text::utf8(message.bind(py)));
        let state = self.lock();
        let mut span = wire::Span {
            trace_id: self.context.trace_id,
            span_id: self.context.span_id,
            trace_state: &trace_state,
            parent_span_id: self.parent.as_ref().map(|parent| parent.span_id),
            parent_is_remote: self.parent.as_ref().is_some_and(|parent| parent.is_remote),
            name: &name,
            kind: self.kind + 1,
            start_time_unix_nano: self.start_time,
            end_time_unix_nano: state.end_time.unwrap_or_default(),
            attributes: &state.attributes.wire,
            events: state.events.as_ref().map(|events| &events.messages),
            links: state.links.as_ref().map(|links| &links.messages),
            status: state.status,
            status_message: message.as_deref().unwrap_or_default(),
        };
        if let Some(differing) = &differing {
            differing.apply(&mut span);
        }
        span.frame(out);
        drop(state);
        differing.and_then(|differing| differing.scope).unwrap_or_else(|| Arc::clone(&self.identity.scope))
    }
}

#[pymethods]
impl Span {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        Err(PyTypeError::new_err("Span must be instantiated via a tracer."))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.tracer)?;
        visit.call(&self.end_metrics)?;
        visit.call(&self.context.trace_state)?;
        match self.state.try_lock() {
            Ok(state) => state.traverse(&visit),
            // In use: the objects count as reachable this time.
            Err(_) => Ok(()),
        }
    }

    /// Sets one attribute; a key set before moves to the end. Invalid keys and values cost one log line.
    fn set_attribute(&self, py: Python<'_>, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let work = || {
            if !self.set_plain_attribute(key, value) {
                self.set_any_attribute(key, value);
            }
            Ok(())
        };
        contained(py, "set_attribute", work, || Ok(()))
    }

    /// Sets all attributes of a mapping.
    fn set_attributes(&self, py: Python<'_>, attributes: &Bound<'_, PyAny>) -> PyResult<()> {
        let work = || {
            if self.has_ended() {
                log::warning(py, "Setting attribute on ended span.");
                return Ok(());
            }
            if let Some(held) = self.part(py, Part::Attributes) {
                let update = if held.bind(py).is_instance(api(py)?.bounded_attributes.bind(py))? {
                    intern!(py, "_set_items")
                } else {
                    intern!(py, "update")
                };
                if let Err(error) = held.call_method1(py, update, (attributes,)) {
                    exception::swallow(py, "Attributes were not set", error);
                }
                return Ok(());
            }
            let value_len = self.limits().span_value_len;
            let dropped = attributes::each(attributes, self.limits().span_attributes, |key, value| {
                if self.set_plain_attribute(&key, &value) {
                    return;
                }
                match attributes::convert(key, &value, value_len) {
                    Some(converted) => self.put(py, converted),
                    None => self.count_dropped_attributes(1),
                }
            });
            self.count_dropped_attributes(dropped);
            Ok(())
        };
        contained(py, "set_attributes", work, || Ok(()))
    }

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
            if let Err(error) = self.push_link(api(py)?, context, attributes) {
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
            let event = exception::event_attributes(exception, escaped.unwrap_or(&not_escaped))?;
            if let Some(attributes) = given(attributes)
                && let Err(error) = event.call_method1(intern!(py, "update"), (attributes,))
            {
                exception::swallow(py, "Attributes ignored", error);
            }
            // Through the method, which a subclass may have its own of.
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

    /// Sets the status; OK is final and UNSET is ignored.
    #[pyo3(signature = (status, description=None))]
    fn set_status(
        &self,
        py: Python<'_>,
        status: &Bound<'_, PyAny>,
        description: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let work = || {
            if let Err(error) = self.set_any_status(py, status, description) {
                exception::swallow(py, "The status was not set", error);
            }
            Ok(())
        };
        contained(py, "set_status", work, || Ok(()))
    }

    fn update_name(&self, py: Python<'_>, name: Py<PyAny>) -> PyResult<()> {
        let work = || {
            let (ended, _replaced) = {
                let mut state = self.lock();
                match state.end_time {
                    Some(_) => (true, name),
                    None => (false, std::mem::replace(&mut state.name, name)),
                }
            };
            if ended {
                log::warning(py, "Tried calling update_name on an ended span.");
            }
            Ok(())
        };
        contained(py, "update_name", work, || Ok(()))
    }

    fn is_recording(&self) -> bool {
        !self.has_ended()
    }

    fn get_span_context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.context(py)
    }

    /// Ends the span: it changes no more, and goes to the processors. `end_time` is in nanoseconds since the epoch, by
    /// default the current time.
    #[pyo3(signature = (end_time=None))]
    fn end(slf: &Bound<'_, Self>, end_time: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        contained(slf.py(), "end", || Self::end_now(slf, end_time), || Ok(()))
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> Bound<'py, Self> {
        slf
    }

    /// Ends the span, having recorded the exception that left the block, if any.
    fn __exit__(
        slf: &Bound<'_, Self>,
        _kind: Option<&Bound<'_, PyType>>,
        exception: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let span = slf.get();
        let work = || {
            if let Some(exception) = given(exception)
                && !span.has_ended()
                && let Err(error) =
                    Self::record_escaping(slf, exception, span.record_exception, span.set_status_on_exception, true)
            {
                exception::swallow(py, "An exception was not recorded", error);
            }
            slf.call_method0(intern!(py, "end")).map(drop)
        };
        contained(py, "__exit__", work, || Ok(()))
    }
}
