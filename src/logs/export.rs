//! The way of log records that exist as Python objects.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;

use crate::convert::log_records::frame_readable;
use crate::convert::scratch::with_scratch;
use crate::export::batch_processor::BatchProcessor;
use crate::py::boundary::contained;
use crate::py::log;

#[pymethods]
impl BatchProcessor {
    /// Takes a ReadableLogRecord or ReadWriteLogRecord, from callers other than a native logger.
    fn push_log_record(&self, record: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = record.py();
        let push = || {
            with_scratch(|framed| match frame_readable(record, self.scopes(), framed) {
                Ok(Some(scope)) => {
                    self.inner().push(&scope, framed);
                    Ok(())
                }
                Ok(None) => Ok(()),
                Err(error) if error.is_instance_of::<PyMemoryError>(py) => {
                    self.inner().drop_unframed();
                    Ok(())
                }
                Err(error) => Err(error),
            })?;
            log::drain_reports(py);
            Ok(())
        };
        contained(py, "on_emit", || log::emitting(push), || Ok(()))
    }
}
