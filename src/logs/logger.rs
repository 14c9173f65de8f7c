//! The logger: what emits log records.

use std::sync::atomic::{AtomicBool, Ordering};

use otel_rs_core::process::Published;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::{PyTraverseError, PyVisit};

use crate::logs::emit::{Given, emit_given, emit_record};
use crate::logs::origin::{LogRecordLimits, Origin};
use crate::py::boundary::contained;
use crate::py::fork::refresh_after_fork;
use crate::py::once::get_or_make;
use crate::py::unexported::Unexported;
use crate::py::upstream::READ_WRITE_LOG_RECORD;
use crate::py::{exception, log};
use crate::trace::processors::Processors;

/// See `opentelemetry.sdk._logs.Logger`; `otel_rs.logs.Logger` derives from it and a provider makes it.
#[pyclass(frozen, subclass, module = "otel_rs._native")]
pub struct Logger {
    enabled: AtomicBool,
    limits: LogRecordLimits,
    /// Its records tell of exports of log records that failed: to export them would make the next ones.
    of_log_export: bool,
    /// Upstream's counter of emitted records, where the SDK's internal metrics are on.
    count_record: Option<Py<PyAny>>,
    instrumentation_scope: Py<PyAny>,
    origin: Published<Origin>,
}

/// Somebody has put something in the place of `emit`, of the class or of an object, or has put it back since.
static EMIT_REPLACED: AtomicBool = AtomicBool::new(false);

#[pyfunction]
pub fn emit_was_replaced() {
    EMIT_REPLACED.store(true, Ordering::Relaxed);
}

/// Whether `emit` is ours, so that handlers need not call it.
#[inline]
pub fn has_native_emit(logger: &Bound<'_, Logger>) -> PyResult<bool> {
    if EMIT_REPLACED.load(Ordering::Relaxed) { is_unmodified(logger) } else { Ok(true) }
}

#[cold]
fn is_unmodified(logger: &Bound<'_, Logger>) -> PyResult<bool> {
    let module = logger.py().import("otel_rs.batching.steps")?;
    module.call_method1("is_unmodified", (logger,))?.is_truthy()
}

/// What a handler has to do for a record.
pub enum Way {
    /// Nothing: nobody gets it.
    None,
    Native,
    /// Something in Python gets it.
    Python,
}

impl Logger {
    #[inline]
    pub fn limits(&self) -> &LogRecordLimits {
        &self.limits
    }

    #[inline]
    pub fn origin(&self) -> &Origin {
        self.origin.get()
    }

    /// Counts the record if it goes no further in Python, where upstream does so.
    #[inline]
    pub fn begin(&self, py: Python<'_>) -> Way {
        if !self.enabled.load(Ordering::Relaxed) {
            return Way::None;
        }
        let processors = self.origin().processors();
        if !processors.python.is_empty() {
            return Way::Python;
        }
        if let Some(count) = &self.count_record
            && let Err(error) = count.call0(py)
        {
            exception::swallow(py, "The SDK's own metrics raised", error);
        }
        if processors.native.is_empty() || self.of_log_export { Way::None } else { Way::Native }
    }

    fn emit_now<'py>(
        slf: &Bound<'py, Self>,
        record: Option<&Bound<'py, PyAny>>,
        given: Given<'_, 'py>,
    ) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        refresh_after_fork(py);
        let is_complete = match record {
            Some(record) => record.is_instance(READ_WRITE_LOG_RECORD.class(py)?.bind(py))?,
            None => false,
        };
        let way = if is_complete { Way::Python } else { this.begin(py) };
        match way {
            Way::None => Ok(()),
            Way::Native => {
                match record {
                    Some(record) => emit_record(this.origin(), &this.limits, record)?,
                    None => emit_given(py, this.origin(), &this.limits, &given),
                }
                log::drain_reports(py);
                Ok(())
            }
            Way::Python => emit_in_python(slf, record, given),
        }
    }
}

/// By upstream's method. What processors log meanwhile is not exported: it would make the next record.
#[cold]
fn emit_in_python<'py>(
    logger: &Bound<'py, Logger>,
    record: Option<&Bound<'py, PyAny>>,
    given: Given<'_, 'py>,
) -> PyResult<()> {
    static EMIT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = logger.py();
    let emit =
        get_or_make(py, &EMIT, || Ok(py.import("otel_rs.logs._stock")?.getattr("Logger")?.getattr("emit")?.unbind()))?;
    let _unexported = Unexported::begin(py)?;
    emit.call(py, (logger, record), Some(&given.into_dict(py)?)).map(drop)
}

#[pymethods]
impl Logger {
    #[new]
    #[allow(clippy::too_many_arguments)]
    fn new(
        resource: &Bound<'_, PyAny>,
        processors: Py<Processors>,
        instrumentation_scope: &Bound<'_, PyAny>,
        max_attributes: Option<usize>,
        max_attribute_length: Option<usize>,
        of_log_export: bool,
        count_record: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self {
            enabled: AtomicBool::new(true),
            limits: LogRecordLimits { attributes: max_attributes, value_len: max_attribute_length },
            of_log_export,
            count_record,
            instrumentation_scope: instrumentation_scope.clone().unbind(),
            origin: Published::new(Origin::new(resource, instrumentation_scope, processors)?),
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.count_record)?;
        visit.call(&self.instrumentation_scope)?;
        self.origin.try_for_each(|origin| origin.traverse(&visit))
    }

    /// Emits a log record: the one that is given, or the one that the other arguments describe.
    #[pyo3(signature = (record=None, *, timestamp=None, observed_timestamp=None, context=None, severity_number=None,
                        severity_text=None, body=None, attributes=None, event_name=None, exception=None))]
    #[allow(clippy::too_many_arguments)]
    fn emit<'py>(
        slf: &Bound<'py, Self>,
        record: Option<&Bound<'py, PyAny>>,
        timestamp: Option<&Bound<'py, PyAny>>,
        observed_timestamp: Option<&Bound<'py, PyAny>>,
        context: Option<&Bound<'py, PyAny>>,
        severity_number: Option<&Bound<'py, PyAny>>,
        severity_text: Option<&Bound<'py, PyAny>>,
        body: Option<&Bound<'py, PyAny>>,
        attributes: Option<&Bound<'py, PyAny>>,
        event_name: Option<&Bound<'py, PyAny>>,
        exception: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let given = Given {
            timestamp,
            observed_timestamp,
            context,
            severity_number,
            severity_text,
            body,
            attributes,
            event_name,
            exception,
        };
        let py = slf.py();
        let emit = || {
            log::emitting(|| {
                if let Err(error) = Self::emit_now(slf, record, given) {
                    exception::swallow(py, "A log record was lost", error);
                }
                Ok(())
            })
        };
        contained(py, "emit", emit, || Ok(()))
    }

    fn _set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Relaxed);
    }

    fn _set_processors(&self, py: Python<'_>, processors: Py<Processors>) {
        self.origin.update(|now| now.with_processors(py, processors));
    }

    /// Records that are emitted from now on are of this resource.
    fn _set_origin(&self, resource: &Bound<'_, PyAny>) -> PyResult<()> {
        // Encoding runs Python code: not while the origin is replaced.
        let origin = self.origin().with_resource(resource, self.instrumentation_scope.bind(resource.py()))?;
        self.origin.set(origin);
        Ok(())
    }
}
