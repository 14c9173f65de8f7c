//! The export of log records.

use pyo3::prelude::*;

use crate::convert::log_records::log_records;
use crate::export::exporter::OtlpExporter;
use crate::py::log;

#[pymethods]
impl OtlpExporter {
    /// Exports ReadableLogRecords, and waits for the outcome with the GIL released. What cannot be encoded costs itself
    /// and a log line.
    fn export_logs(&self, py: Python<'_>, records: &Bound<'_, PyAny>) -> PyResult<bool> {
        log::exporting_logs(|| self.export(py, || Ok(vec![self.request(log_records(records)?)])))
    }
}
