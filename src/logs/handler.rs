//! The handlers that send the records of Python's `logging`: from a record to bytes in one step.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use otel_rs_core::otlp::{LOG_RECORD_ATTRIBUTES, LogRecord};
use otel_rs_core::process::Published;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::convert::attributes::PyAttributes;
use crate::convert::fields::{now, text_if_any};
use crate::convert::log_records::put_any_body;
use crate::logs::emit::{ids, warn_if_dropped};
use crate::logs::logger::{Logger, Way, has_native_emit};
use crate::logs::logging_record::{LoggingRecord, extras, put_exception};
use crate::py::boundary::contained;
use crate::py::fork::refresh_after_fork;
use crate::py::once::intern;
use crate::py::unexported::is_unexported;
use crate::py::{call, exception, log};

/// The base of our handlers, which derive from the SDK's and from the one of opentelemetry-instrumentation-logging.
#[pyclass(frozen, subclass, module = "otel_rs._native")]
pub struct LoggingHandler {
    of: Handler,
    /// Nobody has put anything in the place of the methods that upstream's `emit` calls.
    is_native: AtomicBool,
    /// The methods that `handle` calls are somebody else's, who may rely on the lock that `logging` has around them.
    locks: AtomicBool,
    settings: Published<Settings>,
}

/// Whose behaviour it has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handler {
    Sdk,
    Instrumentation,
}

/// What the handler's attributes are, which change once in a while.
struct Settings {
    formatter: Option<Py<PyAny>>,
    provider: Option<Py<PyAny>>,
    code_attributes: bool,
    /// Loggers of the provider. Of other providers than ours, none.
    loggers: Py<PyDict>,
}

/// More are looked up each time; a program has hundreds.
const MAX_LOGGERS: usize = 10_000;

/// What upstream takes from the record's dict for `event_name`, the first that is there.
const EVENT_NAMES: [&str; 2] = ["otel.event.name", "event.name"];

#[pymethods]
impl LoggingHandler {
    #[new]
    #[pyo3(signature = (of_sdk, *_args, **_kwargs))]
    fn new(py: Python<'_>, of_sdk: bool, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            of: if of_sdk { Handler::Sdk } else { Handler::Instrumentation },
            is_native: AtomicBool::new(false),
            locks: AtomicBool::new(true),
            settings: Published::new(Settings {
                formatter: None,
                provider: None,
                code_attributes: false,
                loggers: PyDict::new(py).unbind(),
            }),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.settings.try_for_each(|settings| {
            visit.call(&settings.formatter)?;
            visit.call(&settings.provider)?;
            visit.call(&settings.loggers)
        })
    }

    fn _set_native(&self, is_native: bool, locks: bool) {
        self.is_native.store(is_native, Ordering::Relaxed);
        self.locks.store(locks, Ordering::Relaxed);
    }

    /// The handler's attributes, after one of them was set.
    fn _set_attributes(
        &self,
        py: Python<'_>,
        formatter: Option<Py<PyAny>>,
        provider: Option<Py<PyAny>>,
        code_attributes: bool,
    ) {
        let loggers = PyDict::new(py).unbind();
        self.settings.set(Settings { formatter, provider, code_attributes, loggers });
    }

    /// As `logging.Handler.handle`, without its lock: `emit` needs none. What it runs of the program's, a formatter or
    /// a value's `__str__`, may wait for a thread that logs; and a child that was forked in C would wait for ever for a
    /// thread of its parent's that had the lock.
    fn handle<'py>(slf: &Bound<'py, Self>, record: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if slf.get().locks.load(Ordering::Relaxed) {
            return call::method(intern!(py, "_handle_in_python"), [slf.as_any(), &record], None);
        }
        let filters = slf.getattr(intern!(py, "filters"))?;
        let record = if filters.is_truthy()? { Self::filtered(slf, record)? } else { Some(record) };
        let Some(record) = record else { return Ok(PyBool::new(py, false).to_owned().into_any()) };
        Self::emit(slf, &record)?;
        Ok(record)
    }

    /// Sends a record of Python's `logging`.
    fn emit(slf: &Bound<'_, Self>, record: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let emit = || {
            if is_unexported(py) {
                return Ok(());
            }
            if let Err(error) = log::emitting(|| Self::emit_now(slf, record)) {
                Self::handle_error(slf, record, error);
            }
            Ok(())
        };
        contained(py, "emit", emit, || Ok(()))
    }
}

impl LoggingHandler {
    /// The record that the filters let through, which may be another one since Python 3.12.
    #[cold]
    fn filtered<'py>(slf: &Bound<'py, Self>, record: Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let let_through = call::method(intern!(py, "filter"), [slf.as_any(), &record], None)?;
        if let_through.is_instance(&py.import("logging")?.getattr("LogRecord")?)? {
            return Ok(Some(let_through));
        }
        Ok(let_through.is_truthy()?.then_some(record))
    }

    fn emit_now(slf: &Bound<'_, Self>, record: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        refresh_after_fork(py);
        if !slf.get().is_native.load(Ordering::Relaxed) {
            return Self::emit_in_python(slf, record);
        }
        let settings = slf.get().settings.get();
        let name = record.getattr(intern!(py, "name"))?;
        let Some(logger) = settings.logger(&name)? else { return Self::emit_in_python(slf, record) };
        if !has_native_emit(&logger)? {
            return Self::emit_in_python(slf, record);
        }
        match logger.get().begin(py) {
            Way::None => {}
            // A line about what is sent at the end of the program needs no second one about itself.
            Way::Native if is_ours(&name) && logger.get().origin().has_ended() => {
                logger.get().origin().drop_after_shutdown();
            }
            Way::Native => Self::send(slf, settings, logger.get(), record)?,
            Way::Python => Self::emit_in_python(slf, record)?,
        }
        log::drain_reports(py);
        Ok(())
    }

    /// By upstream's method.
    #[cold]
    fn emit_in_python(slf: &Bound<'_, Self>, record: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        call::method(intern!(py, "_emit_in_python"), [slf.as_any(), record], None).map(drop)
    }

    /// As handlers of Python's `logging` treat what they cannot format.
    #[cold]
    fn handle_error(slf: &Bound<'_, Self>, record: &Bound<'_, PyAny>, error: PyErr) {
        let py = slf.py();
        if !error.is_instance_of::<pyo3::exceptions::PyException>(py) {
            return exception::swallow(py, "A log record was lost", error);
        }
        let handled = py
            .import("otel_rs.logs._handler")
            .and_then(|module| module.call_method1(intern!(py, "handle_error"), (slf, record, error.into_value(py))));
        if let Err(error) = handled {
            exception::swallow(py, "A log record was lost", error);
        }
    }

    fn send<'py>(
        slf: &Bound<'py, Self>,
        settings: &Settings,
        logger: &Logger,
        record: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = slf.py();
        let dict = record.getattr(intern!(py, "__dict__"))?;
        let Ok(dict) = dict.cast_exact::<PyDict>() else { return Self::emit_in_python(slf, record) };
        let Some(fields) = LoggingRecord::of(record, dict)? else { return Self::emit_in_python(slf, record) };
        let observed_time_unix_nano = now();
        let (body, attributes, event_name);
        // In upstream's order: a formatter may add to the record.
        match slf.get().of {
            Handler::Sdk => {
                attributes = Self::attributes(slf, logger, &fields, dict, true)?.0;
                event_name = None;
                body = Self::body(slf, settings, &fields, record)?;
            }
            Handler::Instrumentation => {
                body = Self::body(slf, settings, &fields, record)?;
                let formatted = if settings.formatter.is_some() { LoggingRecord::of(record, dict)? } else { None };
                let fields = formatted.as_ref().unwrap_or(&fields);
                (attributes, event_name) = Self::attributes(slf, logger, fields, dict, settings.code_attributes)?;
            }
        }
        let event_name = match &event_name {
            Some(name) => text_if_any(name),
            None => Cow::Borrowed(""),
        };
        let ids = ids(py, None);
        logger.origin().push(&LogRecord {
            time_unix_nano: fields.time_unix_nano(),
            observed_time_unix_nano,
            severity_number: fields.severity_number(),
            severity_text: &fields.severity_text(),
            body: &body,
            attributes: &attributes.wire,
            dropped_attributes: attributes.wire.dropped(),
            flags: ids.map_or(0, |(_, _, flags)| flags.into()),
            trace_id: ids.map(|(trace_id, _, _)| trace_id),
            span_id: ids.map(|(_, span_id, _)| span_id),
            event_name: &event_name,
        });
        Ok(())
    }

    /// The encoded body. What cannot be formatted is handled as other handlers do, and sent as it was logged.
    fn body<'py>(
        slf: &Bound<'py, Self>,
        settings: &Settings,
        fields: &LoggingRecord<'py>,
        record: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<u8>> {
        let py = slf.py();
        let mut body = Vec::new();
        let formatted = if settings.formatter.is_some() {
            call::method(intern!(py, "format"), [slf.as_any(), record], None)
        } else if let (Handler::Sdk, Some(object)) = (slf.get().of, fields.object()) {
            put_any_body(object, &mut body);
            return Ok(body);
        } else {
            fields.message(record)
        };
        match formatted {
            Ok(message) => put_any_body(&message, &mut body),
            Err(error) => {
                Self::handle_error(slf, record, error);
                if let Some(msg) = fields.msg() {
                    put_any_body(msg, &mut body);
                }
            }
        }
        Ok(body)
    }

    /// The attributes, and what the record has for the name of an event.
    fn attributes<'py>(
        slf: &Bound<'py, Self>,
        logger: &Logger,
        fields: &LoggingRecord<'py>,
        dict: &Bound<'py, PyDict>,
        code: bool,
    ) -> PyResult<(PyAttributes, Option<Bound<'py, PyAny>>)> {
        let py = slf.py();
        let value_len = logger.limits().value_len;
        let mut attributes = PyAttributes::new(LOG_RECORD_ATTRIBUTES, logger.limits().attributes);
        let raised = fields.exception()?;
        if raised.is_none() {
            let mut all_plain = fields.extras.put(value_len, &mut attributes);
            if code && all_plain {
                let mut put = |(name, value)| attributes.set_plain(&name, &value, value_len) == Some(true);
                all_plain = fields.code(py).into_iter().all(&mut put);
            }
            if all_plain {
                return Ok((attributes, None));
            }
            attributes.wire.clear();
        }
        let all = extras(dict)?;
        let event_name = if slf.get().of == Handler::Instrumentation { take_event_name(&all)? } else { None };
        if code {
            fields.code(py).into_iter().try_for_each(|(name, value)| all.set_item(name, value))?;
        }
        if let Some(raised) = raised
            && let Err(error) = put_exception(raised, &all)
        {
            exception::swallow(py, "An exception was not recorded", error);
        }
        attributes.extend(&all, value_len);
        warn_if_dropped(py, attributes.wire.dropped());
        Ok((attributes, event_name))
    }
}

/// Whether the logger of this name is one of our own.
fn is_ours(name: &Bound<'_, PyAny>) -> bool {
    name.cast::<PyString>().is_ok_and(|name| name.to_str().is_ok_and(|name| name.starts_with("otel_rs.")))
}

impl Settings {
    /// The native logger of this name, if the provider is ours.
    #[inline]
    fn logger<'py>(&self, name: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, Logger>>> {
        if !name.is_exact_instance_of::<PyString>() {
            return Ok(None);
        }
        match self.loggers.bind(name.py()).get_item(name)? {
            Some(logger) => Ok(logger.cast_into::<Logger>().ok()),
            None => self.find_logger(name),
        }
    }

    #[cold]
    fn find_logger<'py>(&self, name: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, Logger>>> {
        let py = name.py();
        let module = py.import("otel_rs.logs._handler")?;
        let found = module.call_method1(intern!(py, "native_logger"), (&self.provider, name))?;
        let (logger, is_lasting): (Bound<'py, PyAny>, bool) = found.extract()?;
        let Ok(logger) = logger.cast_into::<Logger>() else { return Ok(None) };
        let loggers = self.loggers.bind(py);
        if is_lasting && loggers.len() < MAX_LOGGERS {
            loggers.set_item(name, &logger)?;
        }
        Ok(Some(logger))
    }
}

/// Takes out what is no attribute, but the name of the event.
fn take_event_name<'py>(attributes: &Bound<'py, PyDict>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut taken = None;
    for name in EVENT_NAMES {
        if let Some(event_name) = attributes.get_item(name)? {
            attributes.del_item(name)?;
            if taken.is_none() && !event_name.is_none() {
                taken = Some(event_name);
            }
        }
    }
    Ok(taken)
}
