//! Where a tracer's spans go: native batch processors, which take bytes, and Python processors, which take the span.

use std::sync::Arc;

use otel_rs_core::batch_processor;
use otel_rs_core::process::Published;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit};

use crate::export::batch_processor::BatchProcessor;
use crate::py::call;
use crate::py::exception;
use crate::py::once::intern;

/// The processors of one provider, shared by its tracers.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct Processors {
    lists: Published<ProcessorLists>,
}

#[derive(Default)]
pub struct ProcessorLists {
    pub native: Vec<Arc<batch_processor::BatchProcessor>>,
    pub python: Vec<Py<PyAny>>,
}

#[pymethods]
impl Processors {
    #[new]
    fn new() -> Self {
        Self { lists: Published::new(ProcessorLists::default()) }
    }

    /// Replaces all processors. A span that has started uses the new ones from its next step on.
    fn set(&self, native: Vec<PyRef<'_, BatchProcessor>>, python: Vec<Py<PyAny>>) {
        let native = native.iter().map(|processor| Arc::clone(processor.inner())).collect();
        self.lists.set(ProcessorLists { native, python });
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.lists.try_for_each(|lists| lists.python.iter().try_for_each(|processor| visit.call(processor)))
    }
}

impl Processors {
    #[inline]
    pub fn lists(&self) -> &ProcessorLists {
        self.lists.get()
    }
}

impl ProcessorLists {
    pub fn on_start(&self, span: &Bound<'_, PyAny>, context: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = span.py();
        let names = PyTuple::new(py, [intern!(py, "parent_context")])?;
        let none = py.None().into_bound(py);
        let context = context.unwrap_or(&none);
        self.each(py, "on_start", |p| call::method(intern!(py, "on_start"), [p, span, context], Some(&names)));
        Ok(())
    }

    pub fn on_ending(&self, span: &Bound<'_, PyAny>) {
        let py = span.py();
        self.each(py, "_on_ending", |p| call::method(intern!(py, "_on_ending"), [p, span], None));
    }

    pub fn on_end(&self, span: &Bound<'_, PyAny>) {
        let py = span.py();
        self.each(py, "on_end", |p| call::method(intern!(py, "on_end"), [p, span], None));
    }

    /// If one processor raises, the others still get the span.
    fn each<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        call: impl Fn(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
    ) {
        for processor in &self.python {
            if let Err(error) = call(processor.bind(py)) {
                exception::swallow(py, &format!("A span processor's {method} raised"), error);
            }
        }
    }
}
