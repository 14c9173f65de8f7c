//! A native metric reader as Python holds it.

use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use otel_rs_core::periodic_reader::{self, PeriodicReaderConfig, Ticket};
use otel_rs_core::process;
use pyo3::prelude::*;

use crate::convert::fields::{YEAR, millis};
use crate::convert::scope::{resource_of, scope_in, scope_of};
use crate::export::collection::Collection;
use crate::export::exporter::OtlpExporter;
use crate::metrics::consumer::MeasurementConsumer;
use crate::metrics::stream::{Stream, StreamConfig};
use crate::py::boundary::contained;
use crate::py::log;
use crate::py::wait::wait;

const SETTLING: Duration = Duration::from_millis(100);

/// `otel_rs.metrics`' reader has one for a native exporter: collecting and exporting are done without Python.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct PeriodicReader {
    inner: Arc<periodic_reader::PeriodicReader>,
}

impl PeriodicReader {
    fn wait_for(&self, py: Python<'_>, ticket: Ticket, deadline: Instant) -> PyResult<bool> {
        let done = wait(py, deadline, |until| self.inner.wait(ticket, until).then_some(()))?.is_some();
        log::drain_reports(py);
        Ok(done)
    }
}

#[pymethods]
impl PeriodicReader {
    /// An interval that is infinite never ends.
    #[new]
    fn new(exporter: &OtlpExporter, export_interval_millis: f64, export_timeout_millis: f64) -> Self {
        let config = PeriodicReaderConfig::new(
            export_interval_millis.is_finite().then(|| millis(export_interval_millis)),
            if export_timeout_millis > 0.0 { millis(export_timeout_millis) } else { YEAR },
            exporter.max_data_points().map(NonZeroUsize::get),
            exporter.max_request_bytes(),
        );
        Self { inner: Arc::new(periodic_reader::PeriodicReader::new(config, Arc::clone(exporter.inner()))) }
    }

    /// A stream that tells this reader of new series. It is still to be added.
    fn stream(&self, consumer: &Bound<'_, MeasurementConsumer>, config: StreamConfig<'_>) -> PyResult<Stream> {
        let reader: Weak<periodic_reader::PeriodicReader> = Arc::downgrade(&self.inner);
        Stream::read_by(Some(reader), consumer, &config)
    }

    /// Collects the stream from now on.
    fn add(&self, resource: &Bound<'_, PyAny>, scope: &Bound<'_, PyAny>, stream: &Stream) -> PyResult<()> {
        self.inner.add((scope_of(resource, scope)?, Arc::clone(stream.inner())));
        Ok(())
    }

    /// Collects these streams, each with its scope, in the place of those it had.
    fn replace(
        &self,
        resource: &Bound<'_, PyAny>,
        streams: Vec<(Bound<'_, PyAny>, PyRef<'_, Stream>)>,
    ) -> PyResult<()> {
        let resource = resource_of(resource)?;
        let registered = streams
            .iter()
            .map(|(scope, stream)| Ok((scope_in(Arc::clone(&resource), scope)?, Arc::clone(stream.inner()))));
        self.inner.replace(registered.collect::<PyResult<_>>()?);
        Ok(())
    }

    /// Whether Python asks for a collection at each interval.
    fn tick_elsewhere(&self, elsewhere: bool) {
        self.inner.tick_elsewhere(elsewhere);
    }

    /// Collects and exports, with what Python found if it found something, and waits for it; False if that was not done in time.
    fn collect(&self, py: Python<'_>, found: Option<&Collection>, timeout_millis: f64) -> PyResult<bool> {
        let work = || {
            let deadline = process::bound_by_exit(Instant::now() + millis(timeout_millis));
            self.wait_for(py, self.inner.ask(found.map(Collection::take).unwrap_or_default()), deadline)
        };
        contained(py, "collect", work, || Ok(false))
    }

    /// Waits for all that was asked for; False if that was not done in time.
    fn wait(&self, py: Python<'_>, timeout_millis: f64) -> PyResult<bool> {
        let work = || self.wait_for(py, self.inner.last(), Instant::now() + millis(timeout_millis));
        contained(py, "wait", work, || Ok(false))
    }

    /// Ends, and waits for nothing: Python collects from now on.
    fn retire(&self) {
        self.inner.retire();
    }

    /// Ends, after a last collection if it is asked for; what is not exported in time counts as failed.
    fn shutdown(&self, py: Python<'_>, last_collection: bool, timeout_millis: f64) -> PyResult<bool> {
        let work = || {
            let deadline = process::bound_by_exit(Instant::now() + millis(timeout_millis));
            let ticket = self.inner.start_shutdown(last_collection);
            let in_time = self.wait_for(py, ticket, deadline);
            if !matches!(in_time, Ok(true)) {
                self.inner.abandon();
                // Until what is broken off has been counted.
                py.detach(|| self.inner.wait(ticket, Instant::now() + SETTLING));
                log::drain_reports(py);
            }
            in_time
        };
        contained(py, "shutdown", work, || Ok(false))
    }
}
