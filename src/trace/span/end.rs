//! The end of a span.

use std::sync::atomic::Ordering;

use otel_rs_core::otlp::OutOfMemory;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyTuple, PyType};

use crate::convert::fields;
use crate::convert::scratch::with_scratch;
use crate::py::boundary::contained;
use crate::py::once::intern;
use crate::py::upstream::upstream;
use crate::py::{call, exception, log, text};
use crate::trace::arguments::not_none;
use crate::trace::span::Span;
use crate::trace::span::part::Part;

/// Whether a `with` block records this: what derives from `BaseException` alone (GeneratorExit, KeyboardInterrupt) is
/// not an error of the operation.
pub fn is_error(exception: &Bound<'_, PyAny>) -> bool {
    exception.is_instance_of::<PyException>()
}

/// `Status(ERROR, "Class: message")`.
fn exception_status<'py>(exception: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = exception.py();
    let upstream = upstream(py)?;
    // By Python, which raises MemoryError where Rust would end the process: the text may be of any length.
    let name = exception.get_type().name()?;
    let description = intern!(py, "{}: {}").call_method1(intern!(py, "format"), (name, text::text_of(exception)))?;
    upstream.status.bind(py).call1((&upstream.status_codes[2], description))
}

impl Span {
    /// Records an exception that leaves a `with` block, as asked for at the start.
    pub fn record_escaping(
        slf: &Bound<'_, Self>,
        exception: &Bound<'_, PyAny>,
        record: bool,
        set_status: bool,
        escaped: bool,
    ) -> PyResult<()> {
        let py = slf.py();
        if record {
            let method = intern!(py, "record_exception");
            if escaped {
                let names = PyTuple::new(py, [intern!(py, "escaped")])?;
                let escaped = PyBool::new(py, true).to_owned().into_any();
                call::method(method, [slf.as_any(), exception, &escaped], Some(&names))?;
            } else {
                call::method(method, [slf.as_any(), exception], None)?;
            }
        }
        if set_status {
            call::method(intern!(py, "set_status"), [slf.as_any(), &exception_status(exception)?], None)?;
        }
        Ok(())
    }

    /// `end`, which never raises.
    pub fn end_contained(slf: &Bound<'_, Self>) -> PyResult<()> {
        contained(slf.py(), "end", || Self::end_now(slf, None), || Ok(()))
    }

    /// `end`, for callers that are inside `contained` already.
    pub fn end_now(slf: &Bound<'_, Self>, end_time: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let span = slf.get();
        let time = fields::time_or_now(not_none(end_time));
        let processors = span.tracer.get().processors();
        let only_batches = processors.python.is_empty() && span.end_metrics.is_none();
        let mut state = span.lock();
        if state.end_time.is_some() {
            drop(state);
            log::warning(py, "Calling end() on an ended span.");
            return Ok(());
        }
        state.end_time = Some(time);
        if only_batches && let Some(wire) = span.plain_wire(py, &state) {
            let (scope, measured) = (&span.origin.scope, wire.measured());
            processors.native.iter().for_each(|processor| processor.push_item(scope, &measured));
            drop(state);
        } else {
            let held = state.held(Part::Attributes).map(|held| held.clone_ref(py));
            drop(state);
            Self::hand_over(slf, held)?;
        }
        log::drain_reports(py);
        Ok(())
    }

    /// Gives the ended span to the processors.
    fn hand_over(slf: &Bound<'_, Self>, held_attributes: Option<Py<PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let span = slf.get();
        if let Some(held) = held_attributes
            && held.bind(py).is_instance(upstream(py)?.bounded_attributes.bind(py))?
        {
            held.setattr(py, intern!(py, "_immutable"), true)?;
        }
        if let Some(end_metrics) = &span.end_metrics
            && let Err(error) = end_metrics.call0(py)
        {
            exception::swallow(py, "The SDK's own metrics raised", error);
        }
        let processors = span.tracer.get().processors();
        if !processors.python.is_empty() {
            processors.on_ending(slf.as_any());
            processors.on_end(slf.as_any());
        }
        // Last: a Python processor may remove what must not be exported.
        if span.is_sampled(py)? && !processors.native.is_empty() {
            with_scratch(|framed| match span.frame(py, framed) {
                Ok(scope) => processors.native.iter().for_each(|processor| processor.push(&scope, framed)),
                Err(OutOfMemory) => processors.native.iter().for_each(|processor| processor.drop_unframed()),
            });
        }
        Ok(())
    }
}

#[pymethods]
impl Span {
    /// Ends the span: it changes no more, and goes to the processors. `end_time` is in nanoseconds since the epoch, by
    /// default the current time.
    #[pyo3(signature = (end_time=None))]
    fn end(slf: &Bound<'_, Self>, end_time: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        contained(slf.py(), "end", || Self::end_now(slf, end_time), || Ok(()))
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> Bound<'py, Self> {
        slf
    }

    /// Ends the span, having recorded the exception that left the block, if any.
    fn __exit__(
        slf: &Bound<'_, Self>,
        _kind: Option<&Bound<'_, PyType>>,
        exception: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let span = slf.get();
        let work = || {
            if let Some(exception) = not_none(exception)
                && !span.has_ended()
                && let Err(error) = Self::record_escaping(
                    slf,
                    exception,
                    span.record_exception.load(Ordering::Relaxed),
                    span.set_status_on_exception.load(Ordering::Relaxed),
                    true,
                )
            {
                exception::swallow(py, "An exception was not recorded", error);
            }
            slf.call_method0(intern!(py, "end")).map(drop)
        };
        contained(py, "__exit__", work, || Ok(()))
    }
}
