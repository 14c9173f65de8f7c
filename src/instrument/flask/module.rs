//! The names of Flask and of contrib's modules, and the request that is under way.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyWeakrefReference};

use crate::instrument::originals::Originals;
use crate::py::once::intern;

/// Made once by `otel_rs.instrument.flask`.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct FlaskModule {
    names: Names,
}

/// What it is made of, as attributes of an object.
pub struct Names {
    /// What the modules `flask`, contrib's of it, of WSGI, and of propagators have.
    flask: Py<PyDict>,
    contrib: Py<PyDict>,
    wsgi: Py<PyDict>,
    propagators: Py<PyDict>,
    /// Flask's own: the proxy of the request, `has_request_context`, and the context variable that both look into; None
    /// in a release of Flask that has another.
    request: Py<PyAny>,
    has_request_context: Py<PyAny>,
    variable: Option<Py<PyAny>>,
    pub default_span_name: Py<Originals>,
    /// Keys of the environ.
    pub start_time: Py<PyString>,
    pub span: Py<PyString>,
    pub activation: Py<PyString>,
    pub request_context: Py<PyString>,
    pub token: Py<PyString>,
    /// The name and the version of the framework, for comments in SQL statements.
    pub framework: Py<PyString>,
    /// Functions of `otel_rs.instrument.flask`.
    pub comment: Py<PyAny>,
    pub warn_of_missing_span: Py<PyAny>,
    pub log_error: Py<PyAny>,
}

extract_from_attributes!(Names {
    flask,
    contrib,
    wsgi,
    propagators,
    request,
    has_request_context,
    variable,
    default_span_name,
    start_time,
    span,
    activation,
    request_context,
    token,
    framework,
    comment,
    warn_of_missing_span,
    log_error
});

#[pymethods]
impl FlaskModule {
    #[new]
    fn new(names: Names) -> Self {
        Self { names }
    }
}

impl FlaskModule {
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The request that `flask.request` stands for; raises what that raises where there is none.
    pub fn request<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let proxy = get(&self.names.flask, intern!(py, "request"))?;
        if proxy.is(&self.names.request)
            && let Some(context) = self.context(py)?
        {
            return context.getattr(intern!(py, "request"));
        }
        proxy.getattr(intern!(py, "_get_current_object"))?.call0()
    }

    /// None outside of a request.
    pub fn request_if_any<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let has_request_context = get(&self.names.flask, intern!(py, "has_request_context"))?;
        let has_one = if self.names.variable.is_some() && has_request_context.is(&self.names.has_request_context) {
            self.context(py)?.is_some()
        } else {
            has_request_context.call0()?.is_truthy()?
        };
        if has_one { self.request(py).map(Some) } else { Ok(None) }
    }

    /// `_request_ctx_ref`: a weak reference to the request's context.
    pub fn request_context_ref<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.context(py)? {
            Some(context) => Ok(PyWeakrefReference::new(&context)?.into_any()),
            None => get(&self.names.contrib, intern!(py, "_request_ctx_ref"))?.call0(),
        }
    }

    /// What the context variable holds: None in place of Python's, too.
    fn context<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(variable) = &self.names.variable else { return Ok(None) };
        let mut value = std::ptr::null_mut();
        #[allow(unsafe_code)]
        // SAFETY: `variable` is a ContextVar, as who made this looked at its type; on success `value` is a new reference,
        // or null if the variable has neither a value nor a default.
        let value = unsafe {
            if ffi::PyContextVar_Get(variable.as_ptr(), std::ptr::null_mut(), &mut value) != 0 {
                return Err(PyErr::fetch(py));
            }
            Bound::from_owned_ptr_or_opt(py, value)
        };
        Ok(value.filter(|value| !value.is_none()))
    }

    pub fn wsgi_getter<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        get(&self.names.wsgi, intern!(py, "wsgi_getter"))
    }

    pub fn response_setter<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        get(&self.names.wsgi, intern!(py, "default_response_propagation_setter"))
    }

    /// `get_global_response_propagator()`.
    pub fn response_propagator<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        get(&self.names.propagators, intern!(py, "_RESPONSE_PROPAGATOR"))
    }
}

fn get<'py>(namespace: &Py<PyDict>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    namespace.bind(name.py()).as_any().get_item(name)
}

/// Whether the URL of a request is excluded.
pub fn is_excluded(excluded: Option<&Py<PyAny>>, request: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = request.py();
    match excluded {
        Some(is_excluded) => is_excluded.bind(py).call1((request.getattr(intern!(py, "url"))?,))?.is_truthy(),
        None => Ok(false),
    }
}

/// `environ.get(key)`, None if it has none.
pub fn entry<'py>(environ: &Bound<'py, PyAny>, key: &Py<PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = environ.py();
    let found = match environ.cast_exact::<PyDict>() {
        Ok(environ) => environ.get_item(key)?,
        Err(_) => Some(environ.call_method1(intern!(py, "get"), (key,))?),
    };
    Ok(found.filter(|value| !value.is_none()))
}
