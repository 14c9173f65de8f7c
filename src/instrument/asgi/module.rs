//! The names of contrib's modules, and what depends on the mode of the semantic conventions.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use crate::instrument::asgi::attributes::asgi_request_attributes;
use crate::instrument::asgi::headers::Length;
use crate::instrument::measure::{Keys, Measurement};
use crate::instrument::originals::{Originals, lists_are_known};
use crate::metrics::exemplar_filter::Within;
use crate::metrics::items::Given;
use crate::py::once::intern;

/// The first code of a response that makes a server's span an error.
pub const ERRORS_FROM: u32 = 500;

/// Made once by `otel_rs.instrument.asgi`.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct AsgiModule {
    names: Names,
}

/// What it is made of, as attributes of an object.
pub struct Names {
    /// What contrib's modules of ASGI and of propagators have.
    contrib: Py<PyDict>,
    propagators: Py<PyDict>,
    /// Contrib's functions, which a program may replace.
    attributes: Py<Originals>,
    pub set_status_code: Py<Originals>,
    pub target: Py<Originals>,
    conventions: Vec<Convention>,
    /// The attributes that metrics have.
    pub duration_old: Keys,
    pub duration_new: Keys,
    pub coroutine: Py<PyType>,
    /// Functions of `otel_rs.instrument.asgi`.
    pub capture_request_headers: Py<PyAny>,
    content_length: Py<PyAny>,
    pub inject: Py<PyAny>,
    pub received: Py<PyAny>,
    pub finished: Py<PyAny>,
    pub awaiting: Py<PyAny>,
    /// Coroutine functions with the parameters of `receive` and of `send`.
    pub receive_pattern: Py<PyAny>,
    pub send_pattern: Py<PyAny>,
}

extract_from_attributes!(Names {
    contrib,
    propagators,
    attributes,
    set_status_code,
    target,
    conventions,
    duration_old,
    duration_new,
    coroutine,
    capture_request_headers,
    content_length,
    inject,
    received,
    finished,
    awaiting,
    receive_pattern,
    send_pattern
});

/// A mode of the semantic conventions.
struct Convention {
    mode: Py<PyAny>,
    old: bool,
    new: bool,
    /// The attributes that the requests under way are counted by.
    counted: Keys,
}

extract_from_attributes!(Convention { mode, old, new, counted });

/// Whether the old names are reported, and whether the new ones.
#[derive(Clone, Copy)]
pub struct Reported {
    pub old: bool,
    pub new: bool,
}

#[pymethods]
impl AsgiModule {
    #[new]
    fn new(names: Names) -> Self {
        Self { names }
    }
}

impl AsgiModule {
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// What contrib's module has by a name.
    pub fn contribs<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        self.names.contrib.bind(name.py()).as_any().get_item(name)
    }

    /// `get_global_response_propagator()`, unless there is none.
    pub fn response_propagator<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let propagator = self.names.propagators.bind(py).as_any().get_item(intern!(py, "_RESPONSE_PROPAGATOR"))?;
        Ok(if !propagator.is_none() && propagator.is_truthy()? { Some(propagator) } else { None })
    }

    pub fn reported(&self, mode: &Bound<'_, PyAny>) -> Reported {
        let known = self.names.conventions.iter().find(|convention| mode.is(&convention.mode));
        // Contrib takes any other for one of these.
        known.map_or(Reported { old: true, new: false }, |known| Reported { old: known.old, new: known.new })
    }

    /// `collect_request_attributes`.
    pub fn request_attributes<'py>(
        &self,
        scope: &Bound<'py, PyAny>,
        mode: &Bound<'py, PyAny>,
        reported: Reported,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = scope.py();
        if lists_are_known(py)?
            && self.names.attributes.get().are_there(py)?
            && let Some(attributes) = asgi_request_attributes(scope, reported.old, reported.new)?
        {
            return Ok(attributes);
        }
        let collect = self.contribs(intern!(py, "collect_request_attributes"))?;
        Ok(collect.call1((scope, mode))?.cast_into()?)
    }

    /// Counts a request that has begun, or one that has ended.
    pub fn count<'py>(
        &self,
        counter: &Bound<'py, PyAny>,
        by: i64,
        attributes: &Bound<'py, PyDict>,
        reported: Reported,
    ) -> PyResult<()> {
        let Reported { old, new } = reported;
        let known = self.names.conventions.iter().find(|known| known.old == old && known.new == new);
        let keys = &known.expect("`reported` has one of them").counted;
        Measurement { attributes: Given::Dict(attributes), keys, more: None, within: Within::Current }.add(counter, by)
    }

    /// What the headers of a scope or message tell, if it is a number.
    pub fn content_length<'py>(&self, carrier: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match Length::of(carrier)? {
            Length::None => Ok(None),
            Length::Bytes(length) => Ok(Some(length)),
            Length::Unknown => {
                let length = self.names.content_length.bind(carrier.py()).call1((carrier,))?;
                Ok(Some(length).filter(|length| !length.is_none()))
            }
        }
    }
}

/// Whether a type of a scope or a message is this one.
pub fn is(kind: &Bound<'_, PyAny>, name: &str) -> PyResult<bool> {
    match kind.cast_exact::<PyString>() {
        Ok(text) => Ok(text.to_str().is_ok_and(|text| text == name)),
        Err(_) => kind.eq(name),
    }
}

/// `mapping.get(key)`, None if it has none.
pub fn entry<'py>(mapping: &Bound<'py, PyAny>, key: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
    match mapping.cast_exact::<PyDict>() {
        Ok(dict) => dict.get_item(key),
        Err(_) => Ok(Some(mapping.call_method1(intern!(key.py(), "get"), (key,))?).filter(|value| !value.is_none())),
    }
}

/// `" ".join((name, kind, what))`.
pub fn message_name<'py>(
    name: &Bound<'py, PyAny>,
    kind: &Bound<'py, PyAny>,
    what: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let py = name.py();
    if let (Ok(name), Ok(kind)) = (name.cast_exact::<PyString>(), kind.cast_exact::<PyString>())
        && let (Ok(name), Ok(kind)) = (name.to_str(), kind.to_str())
    {
        return Ok(PyString::new(py, &format!("{name} {kind} {what}")).into_any());
    }
    intern!(py, " ").call_method1(intern!(py, "join"), ((name, kind, what),))
}
