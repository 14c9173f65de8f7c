//! `BatchSpanProcessor`'s native part: a pipeline, as Python holds it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

use crate::convert::attributes::with_scratch;
use crate::convert::log;
use crate::convert::scope::ScopeCache;
use crate::convert::stock_span::frame_span;
use crate::exit;
use crate::exporter::OtlpExporter;
use crate::pipeline::{Counts, Pipeline, PipelineConfig, Processed, Ticket};
use crate::trace::boundary::contained;
use crate::trace::signals;

/// Batches ended spans and exports them away from Python. Nothing it does holds the GIL but taking the span's bytes.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct SpanPipeline {
    inner: Arc<Pipeline>,
    scopes: ScopeCache,
}

impl SpanPipeline {
    pub fn inner(&self) -> &Arc<Pipeline> {
        &self.inner
    }

    /// Waits with the GIL released; Python's signal handlers run meanwhile.
    fn wait(&self, py: Python<'_>, ticket: Ticket, deadline: Instant) -> PyResult<bool> {
        loop {
            let until = deadline.min(Instant::now() + signals::CHECK_INTERVAL);
            if py.detach(|| self.inner.wait(ticket, until)) {
                return Ok(true);
            }
            if until == deadline {
                return Ok(false);
            }
            py.check_signals()?;
        }
    }
}

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A number of milliseconds; what is negative or not a number is none at all, what is huge a year.
fn millis(millis: f64) -> Duration {
    Duration::from_secs_f64((millis / 1e3).clamp(0.0, YEAR.as_secs_f64()).max(0.0))
}

#[pymethods]
impl SpanPipeline {
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
        let config = PipelineConfig {
            max_queue_size,
            schedule_delay: millis(schedule_delay_millis),
            max_export_batch_size,
            // Upstream takes no notice of this timeout; zero and less can only mean that there is none.
            export_timeout: if export_timeout_millis > 0.0 { millis(export_timeout_millis) } else { YEAR },
            max_queue_bytes,
            max_request_bytes,
            max_concurrent_exports: max_concurrent_exports.max(1),
        };
        let inner = Arc::new(Pipeline::new(config, Arc::clone(exporter.inner())));
        Ok(Self { inner, scopes: ScopeCache::default() })
    }

    /// Takes any ReadableSpan, for callers that do not go by a native tracer.
    fn push(&self, span: &Bound<'_, PyAny>) -> PyResult<()> {
        let work = || {
            with_scratch(|framed| {
                let scope = frame_span(span, &self.scopes, framed)?;
                self.inner.push(&scope, framed);
                PyResult::Ok(())
            })?;
            log::drain_reports(span.py());
            Ok(())
        };
        contained(span.py(), "on_end", work, || Ok(()))
    }

    /// Exports what was taken so far; False if that was not done in time.
    fn force_flush(&self, py: Python<'_>, timeout_millis: f64) -> PyResult<bool> {
        let work = || {
            let deadline = exit::bound(Instant::now() + millis(timeout_millis));
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
            let deadline = exit::bound(Instant::now() + millis(timeout_millis));
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
