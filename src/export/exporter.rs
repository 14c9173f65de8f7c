//! The OTLP exporters' native part, as Python holds it.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use otel_rs_core::client::Status;
use otel_rs_core::export::{Exporter, Exports, Operation, StartedExport};
use otel_rs_core::otlp::{Batch, OutOfMemory};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

use crate::export::config::{ExporterConfig, config_error};
use crate::py::boundary::contained;
use crate::py::log;
use crate::py::wait::wait;

/// Each signal adds its own `export_...` method.
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

    /// From now on nothing is accepted. True at the first call.
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

    /// What became of the items that batch processors, `export_...` and `export_elsewhere` handed over.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.as_dict(py, self.inner.counts())
    }

    /// The same without those of `export_elsewhere`.
    fn own_counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.as_dict(py, self.inner.own_counts())
    }

    /// Counts items that `send` sends in this exporter's place: as exported if it returns true, else as failed.
    fn export_elsewhere(&self, items: u64, send: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.inner.export_elsewhere(items, || send.call0()?.is_truthy())
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
    fn as_dict<'py>(&self, py: Python<'py>, counts: Exports) -> PyResult<Bound<'py, PyDict>> {
        let Exports { exported, rejected, failed, dropped, in_flight, bytes } = counts;
        let retries = self.inner.retries();
        let counts = [exported, rejected, failed, dropped, in_flight, retries, bytes];
        let names = ["exported", "rejected", "failed", "dropped", "in_flight", "retries", "bytes"];
        names.into_iter().zip(counts).into_py_dict(py)
    }

    fn of(exporter: Exporter, config: &ExporterConfig) -> Self {
        Self {
            inner: Arc::new(exporter),
            max_data_points: config.max_data_points.and_then(NonZeroUsize::new),
            max_request_size: config.max_request_size.and_then(NonZeroUsize::new),
        }
    }

    pub fn max_request_bytes(&self) -> Option<usize> {
        self.max_request_size()
    }

    pub fn max_data_points(&self) -> Option<NonZeroUsize> {
        self.max_data_points
    }

    /// Encodes data by `requests`, sends each request, and waits for the outcomes with the GIL released. True if all
    /// were delivered.
    pub fn export(
        &self,
        py: Python<'_>,
        requests: impl FnOnce() -> PyResult<Vec<Result<Request, Unencoded>>>,
    ) -> PyResult<bool> {
        let export = || {
            let requests = requests()?;
            let mut all_delivered = requests.iter().all(Result::is_ok);
            for request in requests.into_iter().flatten().filter(|request| !request.body.is_empty()) {
                all_delivered &= self.send(py, request)?;
            }
            log::drain_reports(py);
            Ok(all_delivered)
        };
        contained(py, "export", export, || Ok(false))
    }

    /// The request of a batch.
    pub fn request(&self, batch: Batch) -> Result<Request, Unencoded> {
        let items = batch.len();
        self.encoded(batch.into_request(), items)
    }

    /// Without memory for a request its items count as failed.
    pub fn encoded(&self, body: Result<Bytes, OutOfMemory>, items: usize) -> Result<Request, Unencoded> {
        let body = body.map_err(|error| self.fail(items, error))?;
        Ok(Request { body, items })
    }

    pub fn fail(&self, items: usize, error: OutOfMemory) -> Unencoded {
        self.inner.fail(items as u64, &error.to_string());
        Unencoded
    }

    /// Sends one request and waits for the outcome, unless it is too large; whether it was delivered.
    fn send(&self, py: Python<'_>, request: Request) -> PyResult<bool> {
        let (size, items) = (request.body.len(), request.items as u64);
        if let Some(max) = self.max_request_size.filter(|max| size > max.get()) {
            self.inner.drop_too_large(items, size, max.get());
            return Ok(false);
        }
        let Some(started) = StartedExport::new(&self.inner, request.body, items) else { return Ok(false) };
        match wait(py, started.deadline(), |until| started.wait(until)) {
            Ok(Some(delivered)) => Ok(delivered),
            Ok(None) => {
                started.give_up();
                Ok(false)
            }
            Err(signal) => {
                started.cancel();
                Err(signal)
            }
        }
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

/// A request that could not be made, whose items have been counted.
pub struct Unencoded;

/// An encoded request, and how many spans, data points or log records are in it.
pub struct Request {
    pub body: Bytes,
    pub items: usize,
}
