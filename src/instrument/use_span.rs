//! `use_span`: a span that somebody else started is current for a block.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};

use crate::py::boundary::contained;
use crate::py::context::{self, Token};
use crate::py::exception;
use crate::py::upstream::upstream;
use crate::trace::current_span::{AtExit, leave};

/// What `opentelemetry.trace.use_span` returns for a span of ours.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct UseSpan {
    span: Py<PyAny>,
    at_exit: AtExit,
    token: Mutex<Option<Token>>,
}

impl UseSpan {
    /// With exceptions recorded, as they are if nobody says otherwise.
    pub fn of(span: Py<PyAny>, end_on_exit: bool) -> Self {
        Self::new(span, end_on_exit, true, true)
    }

    /// Leaves the block. False if nobody has entered it, or somebody has left it before.
    pub fn exit(&self, py: Python<'_>, exception: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let Some(token) = self.token().take() else { return Ok(false) };
        contained(py, "__exit__", || leave(self.span.bind(py), token, exception, self.at_exit), || Ok(()))?;
        Ok(true)
    }

    pub fn enter(&self, py: Python<'_>) -> PyResult<()> {
        self.keep(context::attach_span(py, upstream(py)?, self.span.bind(py))?);
        Ok(())
    }

    /// Enters the block with a context that has the span.
    pub fn enter_with(&self, context: &Bound<'_, PyDict>) -> PyResult<()> {
        self.keep(context::attach(upstream(context.py())?, context)?);
        Ok(())
    }

    fn keep(&self, token: Token) {
        let replaced = self.token().replace(token);
        // Not under the lock: its end may run Python code.
        drop(replaced);
    }

    fn token(&self) -> std::sync::MutexGuard<'_, Option<Token>> {
        self.token.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Leaves a block of which nobody calls `__exit__` any more.
    fn abandon(&self, py: Python<'_>, token: Token) {
        let leave = || contained(py, "__exit__", || leave(self.span.bind(py), token, None, self.at_exit), || Ok(()));
        exception::in_destructor(py, leave);
    }
}

impl Drop for UseSpan {
    /// Nobody left the block: the span is current no longer and ends where it was to end, as where upstream's generator
    /// is closed. An instrumentation that waits for a signal or a response keeps such an object meanwhile.
    fn drop(&mut self) {
        let token = self.token.get_mut().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(token) = token {
            // Python deallocates in attached threads; where it cannot be attached, it is going away.
            Python::try_attach(|py| self.abandon(py, token));
        }
    }
}

#[pymethods]
impl UseSpan {
    #[new]
    #[pyo3(signature = (span, end_on_exit=false, record_exception=true, set_status_on_exception=true))]
    fn new(span: Py<PyAny>, end_on_exit: bool, record_exception: bool, set_status_on_exception: bool) -> Self {
        let at_exit = AtExit { end: end_on_exit, record_exception, set_status: set_status_on_exception };
        Self { span, at_exit, token: Mutex::new(None) }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.span)?;
        match self.token.try_lock() {
            Ok(token) => token.iter().try_for_each(|token| token.traverse(&visit)),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self, py: Python<'_>) {
        let token = self.token().take();
        if let Some(token) = token {
            self.abandon(py, token);
        }
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.enter(py)?;
        Ok(self.span.clone_ref(py))
    }

    #[pyo3(signature = (_kind=None, exception=None, _traceback=None))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: Option<&Bound<'_, PyAny>>,
        exception: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        // Left a second time: as upstream's, which has nothing more to do by then.
        self.exit(py, exception).map(|_| false)
    }
}
