//! The span as the application writes it. Its attributes, events and links are kept in their wire form; `end` frames
//! them for the pipelines, and no Python object goes further than that.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

use crate::convert::attributes::{self, PyAttributes, with_scratch};
use crate::convert::log;
use crate::convert::stock_span::put_link;
use crate::otlp::batch::Scope;
use crate::otlp::span::{self as wire, EVENT_ATTRIBUTES, LINK_ATTRIBUTES, Messages, SPAN_ATTRIBUTES, StatusCode};
use crate::trace::api::{Api, api, position};
use crate::trace::exception;
use crate::trace::span_context::SpanContext;
use crate::trace::tracer::Tracer;

/// See `opentelemetry.sdk.trace.Span`; made by a tracer as an instance of `otel_rs.trace.Span`.
#[pyclass(frozen, subclass, module = "otel_rs._native")]
pub struct Span {
    pub(super) tracer: Py<Tracer>,
    /// Who the tracer was when the span started.
    pub(super) scope: Arc<Scope>,
    pub(super) context: SpanContext,
    pub(super) parent: Option<SpanContext>,
    /// Position in `Api::kinds`.
    pub(super) kind: u8,
    pub(super) start_time: u64,
    pub(super) record_exception: bool,
    pub(super) set_status_on_exception: bool,
    /// Called at the end, where the SDK's internal metrics are on.
    pub(super) end_metrics: Option<Py<PyAny>>,
    pub(super) state: Mutex<State>,
}

/// What changes while the span is recorded. No Python code may run while it is locked.
pub(super) struct State {
    pub name: Py<PyAny>,
    pub end_time: Option<u64>,
    pub attributes: PyAttributes,
    /// Made with the first event or link: most spans have none.
    pub events: Option<Box<Messages>>,
    pub links: Option<Box<Links>>,
    pub status: StatusCode,
    /// The status' description, as text for the wire.
    pub status_message: Option<Py<PyString>>,
}

/// Links on the wire, and the contexts they name for whoever reads them.
pub(super) struct Links {
    pub messages: Messages,
    pub contexts: Vec<Py<PyAny>>,
}

impl State {
    pub fn new(name: Py<PyAny>, limits: &super::tracer::SpanLimits) -> Self {
        Self {
            name,
            end_time: None,
            attributes: PyAttributes::new(SPAN_ATTRIBUTES, limits.span_attributes),
            events: None,
            links: None,
            status: StatusCode::Unset,
            status_message: None,
        }
    }
}

impl Links {
    fn new(limit: Option<usize>) -> Self {
        Self { messages: Messages::new(limit), contexts: Vec::new() }
    }

    /// Adds a link; returns the context of the one that had to go.
    fn push(&mut self, framed: &[u8], context: Py<PyAny>) -> Option<Py<PyAny>> {
        self.messages.push(framed);
        self.contexts.push(context);
        (self.contexts.len() > self.messages.len()).then(|| self.contexts.remove(0))
    }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64)
}

/// A time in nanoseconds since the epoch; what is none costs one log line.
pub fn time_or_now(time: Option<&Bound<'_, PyAny>>) -> u64 {
    let Some(time) = time else { return now() };
    if let Ok(nanos) = time.extract::<u64>() {
        return nanos;
    }
    match time.extract::<f64>() {
        // Negative times and NaN become zero, the epoch.
        Ok(nanos) => nanos as u64,
        Err(_) => {
            log::warning(time.py(), &format!("Invalid time of type `{}`, taking the current one.", time.get_type()));
            now()
        }
    }
}

impl Span {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().end_time.is_some()
    }

    pub(super) fn add_links(&self, py: Python<'_>, api: &Api, links: &Bound<'_, PyAny>) -> PyResult<()> {
        for link in links.try_iter()? {
            let link = link?;
            if link.is_truthy()? {
                let attributes = link.getattr(intern!(py, "attributes"))?;
                self.push_link(py, api, &link.getattr(intern!(py, "context"))?, Some(&attributes))?;
            }
        }
        Ok(())
    }

    /// Adds the link if it is worth anything; false if the span has ended.
    fn push_link(
        &self,
        py: Python<'_>,
        api: &Api,
        context: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let has_attributes = match attributes {
            Some(attributes) => attributes.is_truthy()?,
            None => false,
        };
        if !context.is_truthy()? {
            return Ok(true);
        }
        let trace_state = context.getattr(intern!(py, "trace_state"))?;
        let is_valid = context.getattr(intern!(py, "is_valid"))?.is_truthy()?;
        if !is_valid && !has_attributes && !trace_state.is_truthy()? {
            return Ok(true);
        }
        let limits = self.tracer.get().limits();
        let mut converted = PyAttributes::new(LINK_ATTRIBUTES, limits.link_attributes);
        if has_attributes && let Some(attributes) = attributes {
            converted.extend(attributes, limits.value_len);
        }
        let context = context.clone().unbind();
        let pushed = with_scratch(|scratch| {
            put_link(api, context.bind(py), &converted, scratch)?;
            let mut state = self.lock();
            match state.end_time {
                None => {
                    let links = state.links.get_or_insert_with(|| Box::new(Links::new(limits.links)));
                    PyResult::Ok((true, links.push(scratch, context)))
                }
                Some(_) => Ok((false, Some(context))),
            }
        });
        let (pushed, _gone) = pushed?;
        Ok(pushed)
    }

    fn push_event(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        timestamp: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let limits = self.tracer.get().limits();
        let mut converted = PyAttributes::new(EVENT_ATTRIBUTES, limits.event_attributes);
        if let Some(attributes) = attributes.filter(|attributes| !attributes.is_none()) {
            converted.extend(attributes, limits.value_len);
        }
        let time = time_or_now(timestamp);
        let name = name.str()?;
        let name = name.to_string_lossy();
        let ended = with_scratch(|scratch| {
            wire::put_event(scratch, &name, time, &converted.wire);
            let mut state = self.lock();
            if state.end_time.is_none() {
                state.events.get_or_insert_with(|| Box::new(Messages::new(limits.events))).push(scratch);
            }
            state.end_time.is_some()
        });
        if ended {
            log::warning(py, "Tried calling _add_event on an ended span.");
        }
        Ok(())
    }

    fn set_any_attribute(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) {
        let py = key.py();
        let key = match key.cast::<PyString>() {
            Ok(key) if key.is_truthy().unwrap_or(false) => key.clone(),
            _ => {
                let text = key.str().map_or_else(|_| "?".into(), |text| text.to_string_lossy().into_owned());
                self.lock().attributes.wire.count_dropped(1);
                let message = format!("invalid key `{text}`. must be non-empty string. Dropping key from attributes.");
                return log::warning(py, &message);
            }
        };
        match attributes::convert(key, value, self.tracer.get().limits().span_value_len) {
            Some(converted) => self.put(py, converted),
            None => self.lock().attributes.wire.count_dropped(1),
        }
    }

    fn put(&self, py: Python<'_>, converted: attributes::Converted<'_>) {
        let put = {
            let mut state = self.lock();
            state.end_time.is_none().then(|| converted.put_into(&mut state.attributes))
        };
        match put {
            Some(put) => put.log(py),
            None => log::warning(py, "Setting attribute on ended span."),
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

    /// Records an exception that leaves a `with` block, as asked for at the start.
    pub(super) fn record_escaped(
        slf: &Bound<'_, Self>,
        exception: &Bound<'_, PyAny>,
        record: bool,
        set_status: bool,
    ) -> PyResult<()> {
        let py = slf.py();
        if record {
            slf.call_method1(intern!(py, "record_exception"), (exception,))?;
        }
        if set_status {
            let status = exception_status(exception)?;
            slf.call_method1(intern!(py, "set_status"), (status,))?;
        }
        Ok(())
    }

    /// The span and who made it, for an exporter that is called from Python.
    pub fn frame_for_export(&self, py: Python<'_>, out: &mut Vec<u8>) -> Arc<Scope> {
        self.frame(py, out);
        Arc::clone(&self.scope)
    }

    /// Appends the span to `out` as the pipelines take it.
    pub(super) fn frame(&self, py: Python<'_>, out: &mut Vec<u8>) {
        // What may run Python code comes before the lock.
        let trace_state = self.context.trace_state_header(py).unwrap_or_default();
        let (name, message) = {
            let state = self.lock();
            (state.name.clone_ref(py), state.status_message.as_ref().map(|message| message.clone_ref(py)))
        };
        let name = text_of(name.bind(py));
        let message = message.as_ref().map(|message| message.bind(py).to_string_lossy());
        let name = name.to_string_lossy();
        let state = self.lock();
        wire::Span {
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
            events: state.events.as_deref(),
            links: state.links.as_ref().map(|links| &links.messages),
            status: state.status,
            status_message: message.as_deref().unwrap_or_default(),
        }
        .frame(out);
    }
}

/// The object itself if it is a text, else what `str` makes of it.
fn text_of<'py>(object: &Bound<'py, PyAny>) -> Bound<'py, PyString> {
    match object.cast::<PyString>() {
        Ok(text) => text.clone(),
        Err(_) => object.str().unwrap_or_else(|_| PyString::new(object.py(), "")),
    }
}

/// `Status(ERROR, "Class: message")`.
pub(super) fn exception_status<'py>(exception: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = exception.py();
    let api = api(py)?;
    let text = match exception.str() {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => "<exception str() failed>".to_owned(),
    };
    let description = format!("{}: {text}", exception.get_type().name()?);
    api.status.bind(py).call1((&api.status_codes[2], description))
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
        visit.call(&self.end_metrics)
    }

    /// Sets one attribute; a key set before moves to the end. Invalid keys and values cost one log line.
    fn set_attribute(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) {
        let value_len = self.tracer.get().limits().span_value_len;
        let plain = attributes::with_plain(key, value, value_len, |put| {
            let mut state = self.lock();
            state.end_time.is_none().then(|| put(&mut state.attributes))
        });
        match plain {
            Some(Some(put)) => put.log(key.py()),
            Some(None) => log::warning(key.py(), "Setting attribute on ended span."),
            None => self.set_any_attribute(key, value),
        }
    }

    /// Sets all attributes of a mapping.
    fn set_attributes(&self, py: Python<'_>, attributes: &Bound<'_, PyAny>) {
        if self.has_ended() {
            return log::warning(py, "Setting attribute on ended span.");
        }
        let value_len = self.tracer.get().limits().span_value_len;
        attributes::each(attributes, |key, value| match attributes::convert_pair(&key, &value, value_len) {
            Some(converted) => self.put(py, converted),
            None => self.lock().attributes.wire.count_dropped(1),
        });
    }

    #[pyo3(signature = (name, attributes=None, timestamp=None))]
    fn add_event(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        timestamp: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let added = self.push_event(py, name, attributes, timestamp);
        added.or_else(|error| exception::contain(py, "Event dropped", error))
    }

    #[pyo3(signature = (context, attributes=None))]
    fn add_link(
        &self,
        py: Python<'_>,
        context: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        match self.push_link(py, api(py)?, context, attributes) {
            Ok(true) => Ok(()),
            Ok(false) => {
                log::warning(py, "Tried calling _add_link on an ended span.");
                Ok(())
            }
            Err(error) => exception::contain(py, "Link dropped", error),
        }
    }

    #[pyo3(signature = (exception, attributes=None, timestamp=None, escaped=None))]
    fn record_exception(
        slf: &Bound<'_, Self>,
        exception: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        timestamp: Option<&Bound<'_, PyAny>>,
        escaped: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let not_escaped = pyo3::types::PyBool::new(py, false).to_owned().into_any();
        let event = || {
            let event = exception::event_attributes(exception, escaped.unwrap_or(&not_escaped))?;
            if let Some(attributes) = attributes.filter(|attributes| !attributes.is_none()) {
                event.call_method1("update", (attributes,))?;
            }
            PyResult::Ok(event)
        };
        match event() {
            Ok(event) => slf.get().add_event(py, intern!(py, "exception"), Some(event.as_any()), timestamp),
            Err(error) => exception::contain(py, "Exception not recorded", error),
        }
    }

    #[pyo3(signature = (status, description=None))]
    fn set_status(
        &self,
        py: Python<'_>,
        status: &Bound<'_, PyAny>,
        description: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let api = api(py)?;
        if let Some(code) = position(&api.status_codes, status) {
            return self.set_status_code(py, code, description);
        }
        if !status.is_instance(api.status.bind(py))? {
            return Ok(());
        }
        let code = position(&api.status_codes, &status.getattr(intern!(py, "status_code"))?);
        let code = match code {
            Some(1) => StatusCode::Ok,
            Some(2) => StatusCode::Error,
            _ => return Ok(()),
        };
        if let Some(description) = description.filter(|description| !description.is_none()) {
            let text = description.str().map_or_else(|_| "?".into(), |text| text.to_string_lossy().into_owned());
            let message = format!("Description {text} ignored. Use either `Status` or `(StatusCode, Description)`");
            log::warning(py, &message);
        }
        let message = status.getattr(intern!(py, "description"))?.cast_into::<PyString>().ok();
        self.replace_status(py, code, message.map(Bound::unbind));
        Ok(())
    }

    fn update_name(&self, name: Py<PyAny>, py: Python<'_>) {
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
    }

    fn is_recording(&self) -> bool {
        !self.has_ended()
    }

    fn get_span_context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.context.object(py, api(py)?)?.clone())
    }

    /// Ends the span: it changes no more, and goes to the processors.
    #[pyo3(signature = (end_time=None))]
    pub(super) fn end(slf: &Bound<'_, Self>, end_time: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let span = slf.get();
        let time = time_or_now(end_time);
        let had_ended = {
            let mut state = span.lock();
            let had_ended = state.end_time.is_some();
            state.end_time.get_or_insert(time);
            had_ended
        };
        if had_ended {
            log::warning(py, "Calling end() on an ended span.");
            return Ok(());
        }
        let mut result = Ok(());
        if let Some(end_metrics) = &span.end_metrics
            && let Err(error) = end_metrics.call0(py)
        {
            result = exception::contain(py, "The SDK's own metrics raised", error);
        }
        let processors = span.tracer.get().processors();
        if !processors.python.is_empty() {
            result = result.and(processors.on_ending(slf.as_any()));
        }
        if span.context.is_sampled() && !processors.pipelines.is_empty() {
            with_scratch(|framed| {
                span.frame(py, framed);
                processors.pipelines.iter().for_each(|pipeline| pipeline.push(&span.scope, framed));
            });
        }
        if !processors.python.is_empty() {
            result = result.and(processors.on_end(slf.as_any()));
        }
        log::drain_reports(py);
        result
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> Bound<'py, Self> {
        slf
    }

    /// Ends the span, having recorded the exception that left the block, if any.
    fn __exit__(
        slf: &Bound<'_, Self>,
        _kind: &Bound<'_, PyType>,
        exception: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        if let Some(exception) = exception.filter(|exception| !exception.is_none())
            && slf.get().is_recording()
        {
            let span = slf.get();
            let keywords = pyo3::types::PyDict::new(py);
            keywords.set_item("escaped", true)?;
            if span.record_exception {
                slf.call_method("record_exception", (exception,), Some(&keywords))?;
            }
            Self::record_escaped(slf, exception, false, span.set_status_on_exception)?;
        }
        slf.call_method0(intern!(py, "end"))?;
        Ok(())
    }
}

impl Span {
    fn set_status_code(&self, py: Python<'_>, code: usize, description: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let status = match code {
            1 => StatusCode::Ok,
            2 => StatusCode::Error,
            // UNSET is ignored.
            _ => return Ok(()),
        };
        let mut message = None;
        if let Some(description) = description
            && description.is_truthy()?
        {
            match description.cast::<PyString>() {
                Err(_) => log::warning(py, "Invalid status description type, expected str"),
                Ok(_) if status != StatusCode::Error => {
                    log::warning(py, "description should only be set when status_code is set to StatusCode.ERROR");
                }
                Ok(text) => message = Some(text.clone().unbind()),
            }
        }
        self.replace_status(py, status, message);
        Ok(())
    }
}

/// Whether a `with` block records this: what derives from `BaseException` alone (GeneratorExit, KeyboardInterrupt) is
/// not an error of the operation.
pub(super) fn is_error(exception: &Bound<'_, PyAny>) -> bool {
    exception.is_instance_of::<PyException>()
}
