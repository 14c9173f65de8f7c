//! A batch processor's native part, as Python holds it.

use std::sync::Arc;
use std::time::Instant;

use otel_rs_core::batch_processor::{self, BatchProcessorConfig, Counts, Processed, Ticket};
use otel_rs_core::process;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

use crate::convert::fields::{YEAR, millis};
use crate::convert::scope::ScopeCache;
use crate::export::exporter::OtlpExporter;
use crate::py::boundary::contained;
use crate::py::log;
use crate::py::wait::wait;

/// Batches ended spans and exports them without Python: only taking a span's bytes holds the GIL.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct BatchProcessor {
    inner: Arc<batch_processor::BatchProcessor>,
    scopes: ScopeCache,
}

impl BatchProcessor {
    /// Of stock spans, which carry Python objects.
    pub fn scopes(&self) -> &ScopeCache {
        &self.scopes
    }

    fn wait(&self, py: Python<'_>, ticket: Ticket, deadline: Instant) -> PyResult<bool> {
        Ok(wait(py, deadline, |until| self.inner.wait(ticket, until).then_some(()))?.is_some())
    }

    pub fn inner(&self) -> &Arc<batch_processor::BatchProcessor> {
        &self.inner
    }
}

#[pymethods]
impl BatchProcessor {
    #[new]
    #[allow(clippy::too_many_arguments)]
    fn new(
        exporter: &OtlpExporter,
        max_queue_size: usize,
        schedule_delay_millis: f64,
        max_export_batch_size: usize,
        export_timeout_millis: f64,
        max_queue_bytes: usize,
        max_request_bytes: usize,
        max_concurrent_exports: usize,
    ) -> PyResult<Self> {
        if schedule_delay_millis.is_nan() || export_timeout_millis.is_nan() {
            return Err(PyValueError::new_err("schedule_delay_millis and export_timeout_millis must be numbers"));
        }
        let config = BatchProcessorConfig {
            max_queue_size,
            schedule_delay: millis(schedule_delay_millis),
            max_export_batch_size,
            // Upstream takes no notice of this timeout; zero and less can only mean that there is none.
            export_timeout: if export_timeout_millis > 0.0 { millis(export_timeout_millis) } else { YEAR },
            max_queue_bytes,
            max_request_bytes,
            max_concurrent_exports: max_concurrent_exports.max(1),
        };
        let inner = Arc::new(batch_processor::BatchProcessor::new(config, Arc::clone(exporter.inner())));
        Ok(Self { inner, scopes: ScopeCache::default() })
    }

    /// Exports what was taken so far; False if that was not done in time.
    fn force_flush(&self, py: Python<'_>, timeout_millis: f64) -> PyResult<bool> {
        let work = || {
            let deadline = process::bound_by_exit(Instant::now() + millis(timeout_millis));
            let ticket = self.inner.start_flush();
            let in_time = self.wait(py, ticket, deadline);
            log::drain_reports(py);
            in_time
        };
        contained(py, "force_flush", work, || Ok(false))
    }

    /// Takes no more, exports what was taken, and drops what could not be exported in time.
    fn shutdown(&self, py: Python<'_>, timeout_millis: f64) -> PyResult<bool> {
        let work = || {
            let deadline = process::bound_by_exit(Instant::now() + millis(timeout_millis));
            let ticket = self.inner.start_shutdown();
            let in_time = self.wait(py, ticket, deadline);
            if !matches!(in_time, Ok(true)) {
                self.inner.abandon();
            }
            log::drain_reports(py);
            in_time
        };
        contained(py, "shutdown", work, || Ok(false))
    }

    fn is_shut_down(&self) -> bool {
        self.inner.is_shut_down()
    }

    /// Spans by what became of them: created = exported + rejected + failed + dropped + pending.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Counts { created, exported, rejected, failed, dropped, pending, in_flight } = self.inner.counts();
        let counts = [created, exported, rejected, failed, dropped, pending, in_flight];
        let names = ["created", "exported", "rejected", "failed", "dropped", "pending", "in_flight"];
        log::drain_reports(py);
        names.into_iter().zip(counts).into_py_dict(py)
    }

    /// Spans handed to the exporter, dropped for want of room, dropped after shutdown, and in the queue.
    fn processed(&self) -> (u64, u64, u64, u64) {
        let Processed { processed, queue_full, after_shutdown, queue_size } = self.inner.processed();
        (processed, queue_full, after_shutdown, queue_size)
    }
}
