//! The span. Its attributes, events and links are kept in their wire form; `end` frames them for the batch processors,
//! and no Python object goes further than that.

pub mod attributes;
mod copied;
pub mod end;
mod entries;
mod frame;
mod hold;
mod overrides;
pub mod part;
mod private_names;
mod read;
pub mod state;
mod status;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit};

use crate::trace::limits::SpanLimits;
use crate::trace::span::part::Part;
use crate::trace::span::state::SpanState;
use crate::trace::span_context::SpanContext;
use crate::trace::tracer::{SpanOrigin, Tracer};

/// See `opentelemetry.sdk.trace.Span`; made by a tracer as an instance of `otel_rs.trace.Span`.
#[pyclass(frozen, subclass, module = "otel_rs._native")]
pub struct Span {
    pub tracer: Py<Tracer>,
    /// The tracer's resource and scope when the span started.
    pub origin: Arc<SpanOrigin>,
    pub context: SpanContext,
    pub parent: Option<SpanContext>,
    /// Position in `Upstream::kinds`.
    pub kind: u8,
    pub start_time: u64,
    pub record_exception: AtomicBool,
    pub set_status_on_exception: AtomicBool,
    /// Called at the end, where the SDK's internal metrics are on.
    pub end_metrics: Option<Py<PyAny>>,
    /// Whether `SpanState::parts` has any.
    pub has_parts: AtomicBool,
    /// Whether Python code got the resource or scope from this span, and may have changed what is in them.
    pub origin_was_read: AtomicBool,
    pub state: Mutex<SpanState>,
}

impl Span {
    pub fn lock(&self) -> MutexGuard<'_, SpanState> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub fn has_ended(&self) -> bool {
        self.lock().end_time.is_some()
    }

    pub fn limits(&self) -> &SpanLimits {
        self.tracer.get().limits()
    }

    /// The part as Python code has it; None while it is in its wire form.
    #[inline]
    pub fn part(&self, py: Python<'_>, part: Part) -> Option<Py<PyAny>> {
        if !self.has_parts.load(Ordering::Acquire) {
            return None;
        }
        self.lock().parts.as_ref()?.get(part).map(|object| object.clone_ref(py))
    }

    /// Puts an object in the part's place.
    pub fn put_part(&self, part: Part, object: Py<PyAny>) {
        let _replaced = {
            let mut state = self.lock();
            self.has_parts.store(true, Ordering::Release);
            state.parts.get_or_insert_default().0[part as usize].replace(object)
        };
    }
}

#[pymethods]
impl Span {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        Err(PyTypeError::new_err("Span must be instantiated via a tracer."))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.tracer)?;
        visit.call(&self.end_metrics)?;
        visit.call(&self.context.trace_state)?;
        match self.state.try_lock() {
            Ok(state) => state.traverse(&visit),
            // In use: the objects count as reachable this time.
            Err(_) => Ok(()),
        }
    }

    fn is_recording(&self) -> bool {
        !self.has_ended()
    }

    fn get_span_context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.context(py)
    }
}
