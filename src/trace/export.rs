//! The export of spans: ours are framed directly, stock ones are read through their properties.

use std::sync::Arc;

use otel_rs_core::otlp::{Batch, Scope};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;

use crate::convert::scope::ScopeCache;
use crate::convert::scratch::with_scratch;
use crate::convert::stock_span::frame_stock_span;
use crate::export::batch_processor::BatchProcessor;
use crate::export::exporter::OtlpExporter;
use crate::py::boundary::contained;
use crate::py::{exception, log};
use crate::trace::span::Span;

/// Appends any ReadableSpan to `out`, framed; returns its resource and scope.
fn frame_span(span: &Bound<'_, PyAny>, scopes: &ScopeCache, out: &mut Vec<u8>) -> PyResult<Arc<Scope>> {
    match span.cast::<Span>() {
        Ok(span) => span.get().frame(span.py(), out).map_err(exception::out_of_memory),
        Err(_) => frame_stock_span(span, scopes, out),
    }
}

fn batch(spans: &Bound<'_, PyAny>) -> PyResult<Batch> {
    let mut batch = Batch::default();
    let scopes = ScopeCache::default();
    for span in spans.try_iter()? {
        let mut framed = Vec::new();
        let scope = frame_span(&span?, &scopes, &mut framed);
        if let Err(error) = scope.and_then(|scope| batch.push(&scope, &framed).map_err(exception::out_of_memory)) {
            exception::swallow(spans.py(), "A span could not be encoded", error);
        }
    }
    Ok(batch)
}

#[pymethods]
impl OtlpExporter {
    /// Exports ReadableSpans, and waits for the outcome with the GIL released. What cannot be encoded costs itself and
    /// a log line.
    fn export_spans(&self, py: Python<'_>, spans: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.export(py, || Ok(vec![self.request(batch(spans)?)]))
    }
}

#[pymethods]
impl BatchProcessor {
    /// Takes any ReadableSpan, from callers other than a native tracer.
    fn push_span(&self, span: &Bound<'_, PyAny>) -> PyResult<()> {
        let work = || {
            with_scratch(|framed| {
                match frame_span(span, self.scopes(), framed) {
                    Ok(scope) => self.inner().push(&scope, framed),
                    Err(error) if error.is_instance_of::<PyMemoryError>(span.py()) => self.inner().drop_unframed(),
                    Err(error) => return Err(error),
                }
                Ok(())
            })?;
            log::drain_reports(span.py());
            Ok(())
        };
        contained(span.py(), "on_end", work, || Ok(()))
    }
}
