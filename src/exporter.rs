//! The OTLP exporters' native part: a connection to a receiver for one signal, as Python holds it.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

use crate::convert::log;
use crate::convert::log_records::log_records;
use crate::convert::metrics::metrics;
use crate::convert::scope::ScopeCache;
use crate::convert::stock_span::frame_span;
use crate::exit;
use crate::exporter_config::{ExporterConfig, config_error};
use crate::fork::generation;
use crate::otlp::batch::Batch;
use crate::otlp::client::{Signal, Status};
use crate::otlp::counters::Exports;
use crate::otlp::exporter::{Exporter, Operation};
use crate::report::{Kind, Level, report};
use crate::runtime;
use crate::trace::boundary::contained;
use crate::trace::exception;
use crate::trace::signals;

/// The client keeps the deadline; this is the net below it.
const GRACE: Duration = Duration::from_secs(5);

#[pyclass(frozen, module = "otel_rs._native")]
pub struct OtlpExporter {
    inner: Arc<Exporter>,
    max_data_points: Option<NonZeroUsize>,
    max_request_size: Option<NonZeroUsize>,
}

impl OtlpExporter {
    pub fn inner(&self) -> &Arc<Exporter> {
        &self.inner
    }
}

#[pymethods]
impl OtlpExporter {
    /// Raises ConfigError if no request could be sent with the configuration.
    #[new]
    fn new(config: ExporterConfig) -> PyResult<Self> {
        let exporter = Exporter::new(config.client()?).map_err(config_error)?;
        Ok(Self::of(exporter, &config))
    }

    /// An exporter whose configuration cannot be used: it sends nothing, and counts what it gets as failed.
    #[staticmethod]
    fn that_sends_nothing(config: ExporterConfig) -> PyResult<Self> {
        Ok(Self::of(Exporter::that_sends_nothing(config.client()?), &config))
    }

    /// Exports ReadableSpans (ours or stock ones), MetricsData or ReadableLogRecords, as the signal wants it, and waits
    /// for the outcome with the GIL released. What cannot be encoded costs itself and a log line.
    fn export(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<bool> {
        let export = || contained(py, "export", || self.export_now(py, data), || Ok(false));
        if self.signal() == Signal::Logs { log::exporting_logs(export) } else { export() }
    }

    /// Takes no more. True at the first call.
    fn shutdown(&self) -> bool {
        self.inner.shut_down()
    }

    fn is_shut_down(&self) -> bool {
        self.inner.is_shut_down()
    }

    #[getter]
    fn protocol(&self) -> &'static str {
        self.inner.config().protocol.name()
    }

    #[getter]
    fn max_request_size(&self) -> Option<usize> {
        self.max_request_size.map(NonZeroUsize::get)
    }

    /// What became of what was given to it, by pipelines and by `export`.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Exports { exported, rejected, failed, dropped, in_flight, bytes } = self.inner.counts();
        let retries = self.inner.retries();
        let counts = [exported, rejected, failed, dropped, in_flight, retries, bytes];
        let names = ["exported", "rejected", "failed", "dropped", "in_flight", "retries", "bytes"];
        names.into_iter().zip(counts).into_py_dict(py)
    }

    /// Keeps from now on how long exports take, for `take_operations`.
    fn record_operations(&self) {
        self.inner.record_operations();
    }

    /// Of each export since the last call: seconds, `error.type`, and the status with which the receiver refused it
    /// (HTTP's number, the name of gRPC's code).
    fn take_operations(&self) -> Vec<(f64, Option<Cow<'static, str>>, Option<StatusCode>)> {
        let operations = self.inner.take_operations().into_iter();
        operations.map(|Operation { seconds, error, status }| (seconds, error, status.map(StatusCode::from))).collect()
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.inner.config())
    }
}

impl OtlpExporter {
    fn of(exporter: Exporter, config: &ExporterConfig) -> Self {
        Self {
            inner: Arc::new(exporter),
            max_data_points: config.max_data_points.and_then(NonZeroUsize::new),
            max_request_size: config.max_request_size.and_then(NonZeroUsize::new),
        }
    }

    fn signal(&self) -> Signal {
        self.inner.config().signal
    }

    fn export_now(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<bool> {
        let requests = match self.signal() {
            Signal::Traces => vec![Request::of(spans(data)?)],
            Signal::Logs => vec![Request::of(log_records(data)?)],
            Signal::Metrics => {
                let metrics = metrics(data)?;
                let parts = match self.max_data_points {
                    Some(max) => metrics.split(max.get()),
                    None => vec![metrics],
                };
                parts.iter().map(|part| Request { body: part.request(), items: part.points() }).collect()
            }
        };
        let mut all_delivered = true;
        for request in requests.into_iter().filter(|request| !request.body.is_empty()) {
            all_delivered &= self.send(py, request)?;
        }
        log::drain_reports(py);
        Ok(all_delivered)
    }

    /// Sends one request and waits for the outcome, unless it is too large; whether it was delivered.
    fn send(&self, py: Python<'_>, request: Request) -> PyResult<bool> {
        let size = request.body.len();
        if let Some(max) = self.max_request_size.filter(|max| size > max.get()) {
            let signal = self.signal();
            report(Level::Warning, Kind::TooLarge, self.inner.source(), || {
                let what = if signal == Signal::Traces { "span".to_owned() } else { signal.to_string() };
                format!("Dropping {what} batch: serialized size {size} bytes exceeds max_request_size {max} bytes.")
            });
            self.inner.drop_unsent(request.items as u64);
            return Ok(false);
        }
        self.wait_for_export(py, request)
    }

    fn wait_for_export(&self, py: Python<'_>, request: Request) -> PyResult<bool> {
        let timeout = self.inner.config().timeout.min(Duration::from_secs(86_400)) + GRACE;
        let deadline = exit::bound(Instant::now() + timeout);
        let process = generation();
        let items = request.items as u64;
        let handle = match runtime::running() {
            Ok(running) => running.handle,
            Err(error) => {
                self.inner.fail_unsent(items, &format!("the export can't be started: {error}"));
                return Ok(false);
            }
        };
        let exporter = Arc::clone(&self.inner);
        let (sender, receiver) = mpsc::channel();
        // `detach` wants what it shares to be Sync.
        let receiver = Mutex::new(receiver);
        let task = handle.spawn(async move {
            let _ = sender.send(exporter.export(request.body, items).await);
        });
        loop {
            let until = deadline.min(Instant::now() + signals::CHECK_INTERVAL);
            let outcome = py.detach(|| {
                let receiver = receiver.lock().unwrap_or_else(|e| e.into_inner());
                let wait = || match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Err(mpsc::RecvTimeoutError::Timeout) => None,
                    outcome => Some(outcome.ok()),
                };
                let look = || match receiver.try_recv() {
                    Err(mpsc::TryRecvError::Empty) => None,
                    outcome => Some(outcome.ok()),
                };
                runtime::wait_for(until, wait, look)
            });
            match outcome {
                Some(Some(exported)) => return Ok(exported.delivered),
                Some(None) => {
                    self.report_failure("the export panicked");
                    return Ok(false);
                }
                None if until == deadline => {
                    task.abort();
                    self.report_failure("no outcome in time");
                    return Ok(false);
                }
                None => {}
            }
            if let Err(signal) = py.check_signals() {
                task.abort();
                return Err(signal);
            }
            // A signal's handler may have forked: the export is the parent's.
            if process != generation() {
                return Ok(false);
            }
        }
    }

    fn report_failure(&self, reason: &str) {
        let signal = self.signal();
        report(Level::Error, Kind::ExportFailed, self.inner.source(), || {
            format!("Failed to export {signal}: {reason}")
        });
    }
}

/// A receiver's status, as attributes of metrics have it.
#[derive(IntoPyObject)]
enum StatusCode {
    Http(u16),
    Grpc(&'static str),
}

impl From<Status> for StatusCode {
    fn from(status: Status) -> Self {
        match status {
            Status::Http(code) => StatusCode::Http(code),
            Status::Grpc(name) => StatusCode::Grpc(name),
        }
    }
}

/// An encoded request, and how many spans, data points or log records are in it.
struct Request {
    body: Bytes,
    items: usize,
}

impl Request {
    fn of(batch: Batch) -> Self {
        Self { items: batch.len(), body: batch.into_request() }
    }
}

fn spans(spans: &Bound<'_, PyAny>) -> PyResult<Batch> {
    let mut batch = Batch::default();
    let scopes = ScopeCache::default();
    for span in spans.try_iter()? {
        let mut framed = Vec::new();
        match frame_span(&span?, &scopes, &mut framed) {
            Ok(scope) => batch.push(&scope, &framed),
            Err(error) => exception::swallow(spans.py(), "A span could not be encoded", error),
        }
    }
    Ok(batch)
}
