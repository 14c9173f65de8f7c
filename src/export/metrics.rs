//! The export of metrics.

use pyo3::prelude::*;

use crate::convert::metrics::metrics;
use crate::export::collection::Collection;
use crate::export::exporter::{OtlpExporter, Request};

#[pymethods]
impl OtlpExporter {
    /// Exports MetricsData or a Collection, in as many requests as it takes, and waits for the outcomes with the GIL released. What
    /// cannot be encoded costs itself and a log line.
    fn export_metrics(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.export(py, || {
            let metrics = match data.cast::<Collection>() {
                Ok(collection) => collection.get().take(),
                Err(_) => metrics(data)?,
            };
            let parts = match self.max_data_points() {
                Some(max) => metrics.split(max.get()),
                None => vec![metrics],
            };
            Ok(parts.iter().map(|part| Ok(Request { body: part.request(), items: part.points() })).collect())
        })
    }
}
