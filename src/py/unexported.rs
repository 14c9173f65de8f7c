//! Log lines that are not exported: what is logged while a record is on its way would be the next record.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::py::interrupt;
use crate::py::once::get_or_make;
use crate::py::once::intern;

/// Of all threads, so that the usual case is one load.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// True in the contexts where nothing is exported. A context variable, because greenlets of one thread take turns.
fn variable(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static VARIABLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make = || {
        let class = py.import("contextvars")?.getattr("ContextVar")?;
        Ok(class.call1(("otel_rs_unexported",))?.unbind())
    };
    Ok(get_or_make(py, &VARIABLE, make)?.bind(py))
}

/// Until this is dropped the native handlers take nothing in the current context.
pub struct Unexported<'py> {
    token: Bound<'py, PyAny>,
}

impl<'py> Unexported<'py> {
    pub fn begin(py: Python<'py>) -> PyResult<Self> {
        let token = variable(py)?.call_method1(intern!(py, "set"), (true,))?;
        UNDER_WAY.fetch_add(1, Ordering::Relaxed);
        Ok(Self { token })
    }
}

impl Drop for Unexported<'_> {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
        let py = self.token.py();
        let reset = variable(py).and_then(|variable| variable.call_method1(intern!(py, "reset"), (&self.token,)));
        if let Err(error) = reset {
            interrupt::ignore(py, error);
        }
    }
}

/// `call(argument)`: what is logged meanwhile is not exported.
#[pyfunction]
pub fn call_unexported<'py>(call: &Bound<'py, PyAny>, argument: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let _unexported = Unexported::begin(call.py())?;
    call.call1((argument,))
}

/// Whether what is logged now in this context is not to be exported.
#[inline]
pub fn is_unexported(py: Python<'_>) -> bool {
    UNDER_WAY.load(Ordering::Relaxed) > 0 && is_set(py)
}

#[cold]
fn is_set(py: Python<'_>) -> bool {
    let set = variable(py).and_then(|variable| variable.call_method1(intern!(py, "get"), (false,)));
    set.and_then(|set| set.is_truthy()).unwrap_or(false)
}
