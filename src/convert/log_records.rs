//! Log records of the Python SDK as framed OTLP messages.

use std::sync::Arc;

use otel_rs_core::otlp::{Batch, Fields, LOG_RECORD_ATTRIBUTES, LogRecord, Scope, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::convert::attributes::PyAttributes;
use crate::convert::fields::{nanos, text};
use crate::convert::scope::ScopeCache;
use crate::convert::scratch::with_scratch;
use crate::convert::value::put_body;
use crate::py::exception;
use crate::py::log;

/// Reads any iterable of ReadableLogRecords; one that cannot be encoded costs itself and a log line.
///
/// Leaves out what log exporters log about themselves: a failure would be exported, fail, and so on for ever.
pub fn log_records(records: &Bound<'_, PyAny>) -> PyResult<Batch> {
    let mut batch = Batch::default();
    let scopes = ScopeCache::default();
    for record in records.try_iter()? {
        let record = record?;
        let pushed = with_scratch(|framed| {
            let scope = scope_of(&record, &scopes)?;
            if !is_of_log_export(&scope) {
                frame(&record, framed)?;
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

fn scope_of(record: &Bound<'_, PyAny>, scopes: &ScopeCache) -> PyResult<Arc<Scope>> {
    let py = record.py();
    let scope = record.getattr(intern!(py, "instrumentation_scope"))?;
    scopes.get(&record.getattr(intern!(py, "resource"))?, &scope)
}

/// By the name of the logger, which handlers of Python's logging make the scope's.
fn is_of_log_export(scope: &Scope) -> bool {
    Fields::of(&scope.message).next() == Some((1, Value::Bytes(log::LOG_EXPORT_LOGGER.as_bytes())))
}

fn frame<'py>(readable: &Bound<'py, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    let py = readable.py();
    let record = readable.getattr(intern!(py, "log_record"))?;
    let field = |name: &Bound<'py, PyString>| record.getattr(name);

    let mut attributes = PyAttributes::new(LOG_RECORD_ATTRIBUTES, None);
    let given = field(intern!(py, "attributes"))?;
    if !given.is_none() {
        attributes.extend(&given, None);
    }
    let dropped: u32 = readable.getattr(intern!(py, "dropped_attributes"))?.extract().unwrap_or(0);

    let mut body = Vec::new();
    let value = field(intern!(py, "body"))?;
    if let Err(error) = put_body(&value, &mut body) {
        body.clear();
        exception::swallow(py, "A log record's body could not be encoded", error);
    }
    let (severity_text, event_name) = (field(intern!(py, "severity_text"))?, field(intern!(py, "event_name"))?);
    LogRecord {
        time_unix_nano: nanos(&field(intern!(py, "timestamp"))?),
        observed_time_unix_nano: nanos(&field(intern!(py, "observed_timestamp"))?),
        severity_number: severity(&field(intern!(py, "severity_number"))?),
        severity_text: &text(&severity_text)?,
        body: &body,
        attributes: &attributes.wire,
        dropped_attributes: dropped.saturating_add(attributes.wire.dropped()),
        flags: field(intern!(py, "trace_flags"))?.extract().unwrap_or(0),
        // Zero is no id, and neither is a number that does not fit.
        trace_id: field(intern!(py, "trace_id"))?.extract().ok().filter(|id| *id != 0),
        span_id: field(intern!(py, "span_id"))?.extract().ok().filter(|id| *id != 0),
        event_name: &text(&event_name)?,
    }
    .try_frame(out)
    .map_err(exception::out_of_memory)
}

/// `SeverityNumber`, an enum whose `value` is a property in Python code; a plain number as well.
fn severity(severity: &Bound<'_, PyAny>) -> u64 {
    if severity.is_none() {
        return 0;
    }
    let value = severity.getattr(intern!(severity.py(), "_value_"));
    value.unwrap_or_else(|_| severity.clone()).extract().unwrap_or(0)
}
