//! Lines for Python's `logging`. Logging may run any handler, so it is never done under a Rust lock; what a handler
//! raises does not reach the application.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use otel_rs_core::process::{self, Level};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use crate::py::call;
use crate::py::interrupt;
use crate::py::once::get_or_make;
use crate::py::once::intern;
use crate::py::thread_end::outlast_exit;
use crate::py::unexported::Unexported;

/// The logger of what we log about spans on the application's threads.
const TRACE_LOGGER: &str = "otel_rs.trace";
/// The logger of what we log about measurements.
const METRICS_LOGGER: &str = "otel_rs.metrics";
/// The logger of what we log about log records on the application's threads.
const LOGS_LOGGER: &str = "otel_rs.logs";
/// The logger of what is reported from the batch processor and by exporters.
const EXPORT_LOGGER: &str = "otel_rs.export";
/// The logger of what we log while log records are exported. Our exporters do not export its records.
pub const LOG_EXPORT_LOGGER: &str = "otel_rs.export.logs";

/// What a thread is doing, which says who logs.
#[derive(Clone, Copy)]
enum Work {
    Tracing,
    Measuring,
    Emitting,
    ExportingLogs,
}

thread_local! {
    /// The innermost work, and how deep it is.
    static WORK: Cell<(Work, u32)> = const { Cell::new((Work::Tracing, 0)) };
}

/// Runs an export of log records: what this thread logs meanwhile goes to `LOG_EXPORT_LOGGER`.
pub fn exporting_logs<R>(work: impl FnOnce() -> R) -> R {
    doing(Work::ExportingLogs, work)
}

/// Runs what is about a measurement: what this thread logs meanwhile goes to `METRICS_LOGGER`.
pub fn measuring<R>(work: impl FnOnce() -> R) -> R {
    doing(Work::Measuring, work)
}

/// Runs what is about a log record on its way: what this thread logs meanwhile goes to `LOGS_LOGGER`, and is not
/// exported.
#[inline]
pub fn emitting<R>(work: impl FnOnce() -> R) -> R {
    doing(Work::Emitting, work)
}

#[inline]
fn doing<R>(what: Work, work: impl FnOnce() -> R) -> R {
    struct Restore(Work);
    impl Drop for Restore {
        fn drop(&mut self) {
            // Greenlets do not end in the order in which they began: the last to end leaves nothing behind.
            let (_, depth) = WORK.get();
            WORK.set(if depth > 1 { (self.0, depth - 1) } else { (Work::Tracing, 0) });
        }
    }
    let (before, depth) = WORK.get();
    let _restore = Restore(before);
    WORK.set((what, depth + 1));
    work()
}

fn logger<'py>(py: Python<'py>, cell: &'static PyOnceLock<Py<PyAny>>, name: &str) -> PyResult<&'py Bound<'py, PyAny>> {
    let make = || Ok(py.import("logging")?.call_method1("getLogger", (name,))?.unbind());
    Ok(get_or_make(py, cell, make)?.bind(py))
}

fn trace_logger(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    logger(py, &LOGGER, TRACE_LOGGER)
}

fn metrics_logger(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    logger(py, &LOGGER, METRICS_LOGGER)
}

fn logs_logger(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    logger(py, &LOGGER, LOGS_LOGGER)
}

fn export_logger(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    logger(py, &LOGGER, EXPORT_LOGGER)
}

fn log_export_logger(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    logger(py, &LOGGER, LOG_EXPORT_LOGGER)
}

fn current_logger(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    match WORK.get().0 {
        Work::Tracing => trace_logger(py),
        Work::Measuring => metrics_logger(py),
        Work::Emitting => logs_logger(py),
        Work::ExportingLogs => log_export_logger(py),
    }
}

#[cold]
pub fn warning(py: Python<'_>, message: &str) {
    let _unexported = match WORK.get().0 {
        Work::Emitting => Unexported::begin(py).ok(),
        Work::Tracing | Work::Measuring | Work::ExportingLogs => None,
    };
    say(py, current_logger(py), Level::Warning, message);
}

/// Whether a warning would be logged: asked before formatting one that runs the user's code.
pub fn warns(py: Python<'_>) -> bool {
    const WARNING: u8 = 30;
    let heard = current_logger(py).and_then(|logger| logger.call_method1(intern!(py, "isEnabledFor"), (WARNING,)));
    heard.and_then(|heard| heard.is_truthy()).unwrap_or(true)
}

fn say<'py>(py: Python<'py>, logger: PyResult<&Bound<'py, PyAny>>, level: Level, message: &str) {
    let method = match level {
        Level::Warning => intern!(py, "warning"),
        Level::Error => intern!(py, "error"),
    };
    let said = logger.and_then(|logger| {
        call::method(method, [logger, intern!(py, "%s").as_any(), PyString::new(py, message).as_any()], None)
    });
    ignore_error_of(py, said);
}

/// Drops what a logging handler raised, and keeps an interrupt.
fn ignore_error_of(py: Python<'_>, logged: PyResult<Bound<'_, PyAny>>) {
    if let Err(error) = logged {
        interrupt::ignore(py, error);
    }
}

/// Logs what the export thread reported, on a thread that may call Python.
#[inline]
pub fn drain_reports(py: Python<'_>) {
    if process::are_reports_waiting() {
        drain(py);
    }
}

/// How many threads are logging reports.
static DRAINING: AtomicUsize = AtomicUsize::new(0);

#[cold]
fn drain(py: Python<'_>) {
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            DRAINING.fetch_sub(1, Ordering::Release);
        }
    }
    DRAINING.fetch_add(1, Ordering::Relaxed);
    let _done = Done;
    outlast_exit();
    for report in process::take_reports() {
        let logger = if report.of_log_export { log_export_logger(py) } else { export_logger(py) };
        say(py, logger, report.level, &report.message);
    }
}

/// Before the interpreter ends: waits for a daemon thread that has taken reports and has not logged them yet. Not for
/// long: a handler may hang, and in a forked child such a thread is gone.
pub fn finish_draining(py: Python<'_>) {
    const LONGEST: Duration = Duration::from_millis(500);
    const CHECK_INTERVAL: Duration = Duration::from_millis(2);
    let until = Instant::now() + LONGEST;
    while DRAINING.load(Ordering::Acquire) > 0 && Instant::now() < until {
        py.detach(|| std::thread::sleep(CHECK_INTERVAL));
    }
}
