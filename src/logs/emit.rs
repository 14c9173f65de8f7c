//! What a record consists of, from Python objects to bytes in the batches of native processors.

use otel_rs_core::otlp::{LOG_RECORD_ATTRIBUTES, LogRecord};
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::convert::attributes::PyAttributes;
use crate::convert::exception_attributes::exception_attributes;
use crate::convert::fields::{nanos, now, text_if_any};
use crate::convert::log_records::{frame_record, put_any_body, severity};
use crate::convert::scratch::with_scratch;
use crate::logs::origin::{LogRecordLimits, Origin};
use crate::py::exception;
use crate::py::interrupt;
use crate::py::once::intern;
use crate::py::unexported::Unexported;
use crate::py::upstream::{DROPPED_ATTRIBUTES_WARNING, upstream};
use crate::trace::parent::ids_of;

/// The trace id, the span id and the flags of a span.
pub type Ids = Option<(u128, u64, u8)>;

/// The arguments of `Logger.emit`.
pub struct Given<'a, 'py> {
    pub timestamp: Option<&'a Bound<'py, PyAny>>,
    pub observed_timestamp: Option<&'a Bound<'py, PyAny>>,
    pub context: Option<&'a Bound<'py, PyAny>>,
    pub severity_number: Option<&'a Bound<'py, PyAny>>,
    pub severity_text: Option<&'a Bound<'py, PyAny>>,
    pub body: Option<&'a Bound<'py, PyAny>>,
    pub attributes: Option<&'a Bound<'py, PyAny>>,
    pub event_name: Option<&'a Bound<'py, PyAny>>,
    pub exception: Option<&'a Bound<'py, PyAny>>,
}

impl<'py> Given<'_, 'py> {
    /// As keyword arguments.
    pub fn into_dict(self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let given = [
            (intern!(py, "timestamp"), self.timestamp),
            (intern!(py, "observed_timestamp"), self.observed_timestamp),
            (intern!(py, "context"), self.context),
            (intern!(py, "severity_number"), self.severity_number),
            (intern!(py, "severity_text"), self.severity_text),
            (intern!(py, "body"), self.body),
            (intern!(py, "attributes"), self.attributes),
            (intern!(py, "event_name"), self.event_name),
            (intern!(py, "exception"), self.exception),
        ];
        let arguments = PyDict::new(py);
        for (name, value) in given {
            if let Some(value) = value {
                arguments.set_item(name, value)?;
            }
        }
        Ok(arguments)
    }
}

/// Emits what the arguments say.
pub fn emit_given<'py>(py: Python<'py>, origin: &Origin, limits: &LogRecordLimits, given: &Given<'_, 'py>) {
    let attributes = attributes_within(limits, py, given.attributes, given.exception);
    let mut body = Vec::new();
    if let Some(given) = given.body {
        put_any_body(given, &mut body);
    }
    let none = py.None().into_bound(py);
    let or_none = |object: Option<&Bound<'py, PyAny>>| object.unwrap_or(&none).clone();
    let (severity_text, event_name) = (or_none(given.severity_text), or_none(given.event_name));
    let ids = ids(py, given.context);
    origin.push(&LogRecord {
        time_unix_nano: given.timestamp.map_or(0, nanos),
        observed_time_unix_nano: given.observed_timestamp.map_or_else(now, nanos),
        severity_number: given.severity_number.map_or(0, severity),
        severity_text: &text_if_any(&severity_text),
        body: &body,
        attributes: &attributes.wire,
        dropped_attributes: attributes.wire.dropped(),
        flags: ids.map_or(0, |(_, _, flags)| flags.into()),
        trace_id: ids.map(|(trace_id, _, _)| trace_id),
        span_id: ids.map(|(_, span_id, _)| span_id),
        event_name: &text_if_any(&event_name),
    });
}

/// Emits a LogRecord of the API.
pub fn emit_record(origin: &Origin, limits: &LogRecordLimits, record: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = record.py();
    let attributes = record.getattr(intern!(py, "attributes"))?;
    let exception = record.getattr(intern!(py, "exception"))?;
    let is_given = |object: &Bound<'_, PyAny>| !object.is_none();
    let attributes = attributes_within(
        limits,
        py,
        Some(&attributes).filter(|given| is_given(given)),
        Some(&exception).filter(|given| is_given(given)),
    );
    with_scratch(|framed| {
        frame_record(record, &attributes.wire, framed)?;
        origin.push_framed(framed);
        Ok(())
    })
}

/// The given ones, and those that describe an exception.
fn attributes_within(
    limits: &LogRecordLimits,
    py: Python<'_>,
    given: Option<&Bound<'_, PyAny>>,
    raised: Option<&Bound<'_, PyAny>>,
) -> PyAttributes {
    let mut attributes = PyAttributes::new(LOG_RECORD_ATTRIBUTES, limits.attributes);
    let merged = raised.and_then(|raised| {
        with_exception(raised, given)
            .map_err(|error| exception::swallow(py, "An exception was not recorded", error))
            .ok()
    });
    if let Some(all) = merged.as_ref().map(|merged| merged.as_any()).or(given) {
        attributes.extend(all, limits.value_len);
        warn_if_dropped(py, attributes.wire.dropped());
    }
    attributes
}

/// Upstream's order: what describes the exception first, and the program's own values in their place.
fn with_exception<'py>(
    exception: &Bound<'py, PyAny>,
    given: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = exception.py();
    let described = exception_attributes(exception)?;
    let Some(given) = given else { return Ok(described) };
    let first = given.is_instance(upstream(py)?.bounded_attributes.bind(py))?;
    match merged(given, &described, first) {
        Ok(merged) => Ok(merged),
        Err(error) => {
            exception::swallow(py, "Attributes ignored", error);
            Ok(described)
        }
    }
}

/// `given_first`: the order of those that only one of them has.
fn merged<'py>(
    given: &Bound<'py, PyAny>,
    described: &Bound<'py, PyDict>,
    given_first: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let py = given.py();
    let merged = if given_first { PyDict::new(py) } else { described.copy()? };
    for pair in given.call_method0(intern!(py, "items"))?.try_iter()? {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        merged.set_item(key, value)?;
    }
    for (key, value) in described {
        if !merged.contains(&key)? {
            merged.set_item(key, value)?;
        }
    }
    Ok(merged)
}

/// Of the span that is current in the given context, or in the current one where that is empty, as upstream.
pub fn ids(py: Python<'_>, context: Option<&Bound<'_, PyAny>>) -> Ids {
    let context = context.filter(|context| context.is_truthy().unwrap_or(true));
    upstream(py).and_then(|upstream| ids_of(py, upstream, context)).unwrap_or_else(|error| {
        exception::swallow(py, "A log record has no span", error);
        None
    })
}

/// Upstream's warning. Python shows it once; a line that `logging` makes of it is not exported, whose attributes may be
/// too many as well.
pub fn warn_if_dropped(py: Python<'_>, dropped: u32) {
    if dropped > 0 {
        warn_of_dropped(py);
    }
}

#[cold]
fn warn_of_dropped(py: Python<'_>) {
    let _unexported = Unexported::begin(py).ok();
    let class = DROPPED_ATTRIBUTES_WARNING.class(py).map(|class| class.into_bound(py));
    let class = class.unwrap_or_else(|_| py.get_type::<PyUserWarning>().cast_into::<PyType>().expect("a class"));
    if let Err(error) = PyErr::warn(py, &class, c"Log record attributes were dropped due to limits", 1) {
        // Where the program's filters make errors of warnings.
        interrupt::ignore(py, error);
    }
}
