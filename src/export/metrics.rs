//! The export of metrics.

use std::sync::Arc;

use otel_rs_core::otlp::{Metrics, OutOfMemory, ResourceMetrics};
use otel_rs_core::periodic_reader::Found;
use pyo3::prelude::*;

use crate::convert::metrics::metrics;
use crate::export::collection::Collection;
use crate::export::exporter::OtlpExporter;

#[pymethods]
impl OtlpExporter {
    /// Exports MetricsData or a Collection, in as many requests as it takes, and waits for the outcomes with the GIL released. What
    /// cannot be encoded costs itself and a log line.
    fn export_metrics(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.export(py, || {
            let metrics = match data.cast::<Collection>() {
                Ok(collection) => {
                    let collection = collection.get();
                    let Found { scopes, lost_points } = collection.take();
                    if lost_points > 0 {
                        self.fail(lost_points, OutOfMemory);
                    }
                    let resource = Arc::clone(collection.resource());
                    Metrics { resources: vec![ResourceMetrics { resource, scopes }] }
                }
                Err(_) => metrics(data)?,
            };
            let points = metrics.points();
            let parts = match self.max_data_points() {
                Some(max) => metrics.split(max.get()),
                None => Ok(vec![metrics]),
            };
            match parts {
                Ok(parts) => Ok(parts.iter().map(|part| self.encoded(part.request(), part.points())).collect()),
                Err(error) => Ok(vec![self.encoded(Err(error), points)]),
            }
        })
    }
}
