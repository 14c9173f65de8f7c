//! `_get_otel_receive`: the server's `receive`, with a span for each message.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{PyTraverseError, PyVisit};

use crate::instrument::asgi::module::{AsgiModule, message_name};
use crate::instrument::asgi::wrapped::Wrapped;
use crate::py::call;
use crate::py::once::intern;

/// The `receive` that the application gets.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct AsgiReceive {
    pub module: Py<AsgiModule>,
    pub middleware: Py<PyAny>,
    /// Of the server's span.
    pub name: Py<PyAny>,
    pub scope: Py<PyAny>,
    pub receive: Wrapped,
}

#[pymethods]
impl AsgiReceive {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.middleware)?;
        visit.call(&self.scope)?;
        self.receive.traverse(&visit)
    }

    fn __getattr__<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        self.receive.get(name)
    }

    fn __setattr__(&self, py: Python<'_>, name: &Bound<'_, PyString>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.receive.set(py, name, value)
    }

    #[getter]
    fn __dict__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.receive.attributes(py)
    }

    fn __call__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let received = self.module.get().names().received.bind(py);
        let (middleware, scope) = (self.middleware.bind(py), self.scope.bind(py));
        let kind = scope.get_item(intern!(py, "type"))?;
        let name = message_name(self.name.bind(py), &kind, "receive")?;
        call::function(received, [middleware, &name, scope, self.receive.original.bind(py)], None)
    }
}
