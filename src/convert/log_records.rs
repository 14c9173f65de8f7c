//! Log records of the Python API and SDK as framed OTLP messages.

use std::sync::Arc;

use otel_rs_core::otlp::{Attributes, Batch, Fields, LOG_RECORD_ATTRIBUTES, LogRecord, Scope, Value};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::convert::attributes::PyAttributes;
use crate::convert::fields::{nanos, text_if_any};
use crate::convert::scope::ScopeCache;
use crate::convert::scratch::with_scratch;
use crate::convert::value::{put_body, put_simple};
use crate::py::exception;
use crate::py::log;
use crate::py::once::intern;
use crate::py::upstream::RESOURCE;

/// Reads any iterable of ReadableLogRecords; one that cannot be encoded costs itself and a log line.
pub fn log_records(records: &Bound<'_, PyAny>) -> PyResult<Batch> {
    let mut batch = Batch::default();
    let scopes = ScopeCache::default();
    for record in records.try_iter()? {
        let record = record?;
        let pushed = with_scratch(|framed| {
            if let Some(scope) = frame_readable(&record, &scopes, framed)? {
                batch.push(&scope, framed).map_err(exception::out_of_memory)?;
            }
            PyResult::Ok(())
        });
        if let Err(error) = pushed {
            exception::swallow(record.py(), "A log record could not be encoded", error);
        }
    }
    Ok(batch)
}

/// Appends a ReadableLogRecord or ReadWriteLogRecord to `out`, framed; returns its resource and scope.
///
/// Leaves out what log exporters log about themselves: a failure would be exported, fail, and so on for ever.
pub fn frame_readable(
    readable: &Bound<'_, PyAny>,
    scopes: &ScopeCache,
    out: &mut Vec<u8>,
) -> PyResult<Option<Arc<Scope>>> {
    let py = readable.py();
    let scope = scope_of(readable, scopes)?;
    if is_of_log_export(&scope) {
        return Ok(None);
    }
    let record = readable.getattr(intern!(py, "log_record"))?;
    let mut attributes = PyAttributes::new(LOG_RECORD_ATTRIBUTES, None);
    let given = record.getattr(intern!(py, "attributes"))?;
    if !given.is_none() {
        attributes.extend(&given, None);
    }
    let dropped: u32 = readable.getattr(intern!(py, "dropped_attributes"))?.extract().unwrap_or(0);
    attributes.wire.count_dropped(dropped);
    frame_record(&record, &attributes.wire, out)?;
    Ok(Some(scope))
}

fn scope_of(record: &Bound<'_, PyAny>, scopes: &ScopeCache) -> PyResult<Arc<Scope>> {
    let py = record.py();
    let scope = record.getattr(intern!(py, "instrumentation_scope"))?;
    let mut resource = record.getattr(intern!(py, "resource"))?;
    if resource.is_none() {
        resource = RESOURCE.look_up(py)?.call_method1(intern!(py, "create"), (pyo3::types::PyDict::new(py),))?;
    }
    scopes.get(&resource, &scope)
}

/// By the name of the logger, which handlers of Python's logging make the scope's.
fn is_of_log_export(scope: &Scope) -> bool {
    Fields::of(&scope.message).next() == Some((1, Value::Bytes(log::LOG_EXPORT_LOGGER.as_bytes())))
}

/// Appends the API's LogRecord to `out`, framed, with these attributes in place of its own.
pub fn frame_record<'py>(record: &Bound<'py, PyAny>, attributes: &Attributes, out: &mut Vec<u8>) -> PyResult<()> {
    let py = record.py();
    let field = |name: &Bound<'py, PyString>| record.getattr(name);
    let mut body = Vec::new();
    put_any_body(&field(intern!(py, "body"))?, &mut body);
    let (severity_text, event_name) = (field(intern!(py, "severity_text"))?, field(intern!(py, "event_name"))?);
    LogRecord {
        time_unix_nano: nanos(&field(intern!(py, "timestamp"))?),
        observed_time_unix_nano: nanos(&field(intern!(py, "observed_timestamp"))?),
        severity_number: severity(&field(intern!(py, "severity_number"))?),
        severity_text: &text_if_any(&severity_text),
        body: &body,
        attributes,
        dropped_attributes: attributes.dropped(),
        flags: field(intern!(py, "trace_flags"))?.extract().unwrap_or(0),
        // Zero is no id, and neither is a number that does not fit.
        trace_id: field(intern!(py, "trace_id"))?.extract().ok().filter(|id| *id != 0),
        span_id: field(intern!(py, "span_id"))?.extract().ok().filter(|id| *id != 0),
        event_name: &text_if_any(&event_name),
    }
    .try_frame(out)
    .map_err(exception::out_of_memory)
}

/// Appends a body of any kind; one whose own code raises costs itself and a log line.
pub fn put_any_body(body: &Bound<'_, PyAny>, out: &mut Vec<u8>) {
    if put_simple(body, None, out) {
        return;
    }
    out.clear();
    if let Err(error) = put_body(body, out) {
        out.clear();
        exception::swallow(body.py(), "A log record's body could not be encoded", error);
    }
}

/// `SeverityNumber`, an enum whose `value` is a property in Python code; a plain number as well.
pub fn severity(severity: &Bound<'_, PyAny>) -> u64 {
    if severity.is_none() {
        return 0;
    }
    let value = severity.getattr(intern!(severity.py(), "_value_"));
    value.unwrap_or_else(|_| severity.clone()).extract().unwrap_or(0)
}
