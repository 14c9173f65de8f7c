//! `OTLPSpanExporter`'s native part: a connection to a receiver, as Python holds it.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tokio::sync::watch;

use crate::convert::log;
use crate::convert::scope::ScopeCache;
use crate::convert::stock_span::frame_span;
use crate::otlp::batch::Batch;
use crate::otlp::client::{ClientConfig, Compression, Outcome, Protocol, Signal};
use crate::otlp::exporter::Exporter;
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
}

impl OtlpExporter {
    pub fn inner(&self) -> &Arc<Exporter> {
        &self.inner
    }
}

#[pymethods]
impl OtlpExporter {
    #[new]
    fn new(
        protocol: &str,
        endpoint: String,
        headers: Vec<(String, String)>,
        timeout: f64,
        compression: &str,
        user_agent: String,
    ) -> PyResult<Self> {
        let protocol = match protocol {
            "grpc" => Protocol::Grpc,
            "http/protobuf" => Protocol::HttpProtobuf,
            other => return Err(PyValueError::new_err(format!("protocol {other:?}; accepted: grpc, http/protobuf"))),
        };
        let compression = match compression {
            "none" => Compression::None,
            "gzip" => Compression::Gzip,
            other => return Err(PyValueError::new_err(format!("compression {other:?}; accepted: none, gzip"))),
        };
        let timeout = Duration::try_from_secs_f64(timeout)
            .map_err(|_| PyValueError::new_err(format!("timeout {timeout}; accepted: seconds, zero or more")))?;
        let signal = Signal::Traces;
        let config = ClientConfig { signal, protocol, endpoint, headers, timeout, compression, user_agent };
        let exporter = Exporter::new(config).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { inner: Arc::new(exporter) })
    }

    /// Exports ReadableSpans, ours or stock ones, and waits for the outcome with the GIL released. A span that cannot
    /// be encoded costs itself and a log line.
    fn export(&self, py: Python<'_>, spans: &Bound<'_, PyAny>) -> PyResult<bool> {
        contained(py, "export", || self.export_now(py, spans), || Ok(false))
    }

    /// Takes no more spans. True at the first call.
    fn shutdown(&self) -> bool {
        self.inner.shut_down()
    }

    fn is_shut_down(&self) -> bool {
        self.inner.is_shut_down()
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.inner.config())
    }
}

impl OtlpExporter {
    fn export_now(&self, py: Python<'_>, spans: &Bound<'_, PyAny>) -> PyResult<bool> {
        let mut batch = Batch::default();
        let scopes = ScopeCache::default();
        for span in spans.try_iter()? {
            let mut framed = Vec::new();
            match frame_span(&span?, &scopes, &mut framed) {
                Ok(scope) => batch.push(&scope, &framed),
                Err(error) => exception::swallow(py, "A span could not be encoded", error),
            }
        }
        if batch.is_empty() {
            return Ok(true);
        }
        let outcome = self.wait_for_export(py, batch)?;
        let delivered = matches!(outcome, Outcome::Delivered { .. });
        match outcome {
            Outcome::Delivered { rejected: 0, message } if message.is_empty() => {}
            Outcome::Delivered { rejected, message } => {
                report(Level::Warning, Kind::PartialSuccess, self.inner.source(), || {
                    format!("The receiver rejected {rejected} spans: {message}")
                })
            }
            Outcome::TooLarge { reason } | Outcome::Failed { reason } => {
                report(Level::Error, Kind::ExportFailed, self.inner.source(), || {
                    format!("Failed to export spans: {reason}")
                });
            }
        }
        log::drain_reports(py);
        Ok(delivered)
    }

    fn wait_for_export(&self, py: Python<'_>, batch: Batch) -> PyResult<Outcome> {
        let deadline = Instant::now() + self.inner.config().timeout.min(Duration::from_secs(86_400)) + GRACE;
        let exporter = Arc::clone(&self.inner);
        let (sender, receiver) = mpsc::channel();
        // `detach` wants what it shares to be Sync.
        let receiver = Mutex::new(receiver);
        let handle = runtime::handle()?;
        let task = handle.spawn(async move {
            // Nobody sets it: a call of `export` may retry as long as its timeout lets it.
            let (_keep, no_retry) = watch::channel(false);
            let _ = sender.send(exporter.export(batch.into_request(), &no_retry).await);
        });
        loop {
            match py.detach(|| receiver.lock().unwrap_or_else(|e| e.into_inner()).recv_timeout(signals::CHECK_INTERVAL))
            {
                Ok(outcome) => return Ok(outcome),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Ok(Outcome::Failed { reason: "the export panicked".into() });
                }
                Err(mpsc::RecvTimeoutError::Timeout) if Instant::now() >= deadline => {
                    task.abort();
                    return Ok(Outcome::Failed { reason: "no outcome in time".into() });
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if let Err(signal) = py.check_signals() {
                        task.abort();
                        return Err(signal);
                    }
                }
            }
        }
    }
}
