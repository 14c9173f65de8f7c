//! After a request: its span is ended.

use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};

use crate::instrument::flask::module::{FlaskModule, entry, is_excluded};
use crate::instrument::use_span::UseSpan;
use crate::py::context::{self, Token};
use crate::py::once::intern;
use crate::py::upstream::upstream;

/// What `_wrapped_teardown_request` returns.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct FlaskTeardown {
    module: Py<FlaskModule>,
    /// Contrib's function for the same.
    in_contrib: Py<PyAny>,
    is_excluded: Option<Py<PyAny>>,
    has_attribute: Py<PyAny>,
}

#[pymethods]
impl FlaskTeardown {
    #[new]
    fn new(
        py: Python<'_>,
        module: Py<FlaskModule>,
        in_contrib: Py<PyAny>,
        is_excluded: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        // Unlike PyO3's own it raises nothing to find out that there is none.
        let has_attribute = py.import("builtins")?.getattr("hasattr")?.unbind();
        Ok(Self { module, in_contrib, is_excluded, has_attribute })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.in_contrib)?;
        visit.call(&self.is_excluded)
    }

    fn __call__(&self, py: Python<'_>, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let module = self.module.get();
        let request = module.request(py)?;
        if is_excluded(self.is_excluded.as_ref(), &request)? {
            return Ok(());
        }
        let environ = request.getattr(intern!(py, "environ"))?;
        let activation = entry(&environ, &module.names().activation)?;
        let activation = activation.as_ref().and_then(|activation| activation.cast::<UseSpan>().ok());
        let has_response = || self.has_attribute.bind(py).call1((&request, intern!(py, "response")))?.is_truthy();
        // A request of which something else is to be found out first.
        let Some(activation) = activation.filter(|_| !has_response().unwrap_or(true)) else {
            return self.in_contrib.bind(py).call1((exception,)).map(drop);
        };
        // Not the context that started the span: one that the request's handler has pushed meanwhile.
        let context = module.request_context_ref(py)?;
        match entry(&environ, &module.names().request_context)? {
            Some(started_in) if started_in.is(&context) || started_in.eq(&context)? => {}
            _ => return Ok(()),
        }
        match self.end(activation, &environ, exception) {
            Err(error) if is_logged(py, &error) => module.names().log_error.bind(py).call1((error,)).map(drop),
            result => result,
        }
    }
}

impl FlaskTeardown {
    fn end(
        &self,
        activation: &Bound<'_, UseSpan>,
        environ: &Bound<'_, PyAny>,
        exception: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = environ.py();
        let names = self.module.get().names();
        // A request may be torn down twice: of that upstream's generator says nothing.
        match activation.get().exit(py, Some(exception).filter(|exception| !exception.is_none())) {
            Err(error) if error.is_instance_of::<PyRuntimeError>(py) => {}
            result => drop(result?),
        }
        if let Some(token) = entry(environ, &names.token)?
            && token.is_truthy()?
        {
            context::detach(py, upstream(py)?, Token::of(token.unbind()));
            for key in [&names.activation, &names.token] {
                match environ.cast_exact::<PyDict>() {
                    Ok(environ) if environ.contains(key)? => environ.del_item(key)?,
                    Ok(_) => {}
                    Err(_) => drop(environ.call_method1(intern!(py, "pop"), (key, py.None()))?),
                }
            }
        }
        Ok(())
    }
}

/// What contrib logs rather than let it break the request.
fn is_logged(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyRuntimeError>(py)
        || error.is_instance_of::<PyAttributeError>(py)
        || error.is_instance_of::<PyValueError>(py)
}
