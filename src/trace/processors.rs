//! Where a tracer's spans go: native pipelines, which take bytes, and Python processors, which take the span.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};

use crate::pipeline::Pipeline;
use crate::trace::exception;
use crate::trace::pipeline::SpanPipeline;

/// The processors of one provider, shared by its tracers.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct Processors {
    has_python: AtomicBool,
    pipelines: Mutex<Arc<[Arc<Pipeline>]>>,
    python: Mutex<Arc<[Py<PyAny>]>>,
}

#[pymethods]
impl Processors {
    #[new]
    fn new() -> Self {
        Self { has_python: AtomicBool::new(false), pipelines: Mutex::default(), python: Mutex::default() }
    }

    /// Replaces them all. Spans under way see the new ones at their next step.
    fn set(&self, pipelines: Vec<PyRef<'_, SpanPipeline>>, python: Vec<Py<PyAny>>) {
        let pipelines: Arc<[_]> = pipelines.iter().map(|pipeline| Arc::clone(pipeline.inner())).collect();
        let has_python = !python.is_empty();
        let before = (replace(&self.pipelines, pipelines), replace(&self.python, python.into()));
        self.has_python.store(has_python, Ordering::Release);
        // Processors that go may run `__del__`: no lock is held here.
        drop(before);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Whoever holds the lock is about to change the list; leaving it out only delays a collection.
        match self.python.try_lock() {
            Ok(python) if Arc::strong_count(&python) == 1 => python.iter().try_for_each(|p| visit.call(p)),
            _ => Ok(()),
        }
    }
}

fn replace<T>(slot: &Mutex<T>, value: T) -> T {
    std::mem::replace(&mut *slot.lock().unwrap_or_else(|e| e.into_inner()), value)
}

fn read<T: ?Sized>(slot: &Mutex<Arc<T>>) -> Arc<T> {
    Arc::clone(&slot.lock().unwrap_or_else(|e| e.into_inner()))
}

impl Processors {
    pub fn pipelines(&self) -> Arc<[Arc<Pipeline>]> {
        read(&self.pipelines)
    }

    #[inline]
    pub fn has_python(&self) -> bool {
        self.has_python.load(Ordering::Acquire)
    }

    pub fn on_start(&self, span: &Bound<'_, PyAny>, context: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = span.py();
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "parent_context"), context)?;
        self.each(py, "on_start", |p| p.call_method(intern!(py, "on_start"), (span,), Some(&keywords)))
    }

    pub fn on_ending(&self, span: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = span.py();
        self.each(py, "_on_ending", |p| p.call_method1(intern!(py, "_on_ending"), (span,)))
    }

    pub fn on_end(&self, span: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = span.py();
        self.each(py, "on_end", |p| p.call_method1(intern!(py, "on_end"), (span,)))
    }

    /// One processor that raises does not keep the span from the others.
    fn each<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        call: impl Fn(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let mut result = Ok(());
        for processor in read(&self.python).iter() {
            if let Err(error) = call(processor.bind(py)) {
                result = result.and(exception::contain(py, &format!("A span processor's {method} raised"), error));
            }
        }
        result
    }
}
