//! Headers in the scopes and messages of ASGI.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::propagate::getter::name_and_value;
use crate::py::once::intern;

/// The headers of a scope or message.
pub struct Headers<'py>(Vec<(Vec<u8>, Bound<'py, PyString>)>);

/// Those that somebody asks for.
const LOOKED_AT: [&str; 3] = ["host", "user-agent", "content-length"];

impl<'py> Headers<'py> {
    /// None where upstream's getter has to look.
    pub fn of(carrier: &Bound<'py, PyDict>) -> PyResult<Option<Self>> {
        let py = carrier.py();
        let mut found = Vec::new();
        let Some(headers) = carrier.get_item(intern!(py, "headers"))? else { return Ok(Some(Self(found))) };
        let Ok(headers) = headers.cast_exact::<PyList>() else { return Ok(None) };
        for header in headers.iter() {
            let Some((name, value)) = name_and_value(&header) else { return Ok(None) };
            let name = name.as_bytes();
            if !name.is_ascii() {
                return Ok(None);
            }
            if LOOKED_AT.iter().any(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes())) {
                let Ok(text) = std::str::from_utf8(value.as_bytes()) else { return Ok(None) };
                found.push((name.to_ascii_lowercase(), PyString::new(py, text)));
            }
        }
        Ok(Some(Self(found)))
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Bound<'py, PyString>> {
        self.0.iter().filter(move |(found, _)| found == name.as_bytes()).map(|(_, value)| value)
    }

    pub fn first(&self, name: &str) -> Option<Bound<'py, PyString>> {
        self.values(name).next().cloned()
    }

    /// All, with commas between them.
    pub fn joined(&self, name: &str) -> PyResult<Option<Bound<'py, PyString>>> {
        let Some(first) = self.first(name) else { return Ok(None) };
        if self.values(name).nth(1).is_none() {
            return Ok(Some(first));
        }
        let texts = self.values(name).map(|value| value.to_str()).collect::<PyResult<Vec<_>>>()?;
        Ok(Some(PyString::new(first.py(), &texts.join(","))))
    }
}

/// The length that a scope's or message's headers tell.
pub enum Length<'py> {
    None,
    Bytes(Bound<'py, PyAny>),
    /// Contrib's getter has to look, or Python has to read the number.
    Unknown,
}

impl<'py> Length<'py> {
    pub fn of(carrier: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = carrier.py();
        let Ok(carrier) = carrier.cast_exact::<PyDict>() else { return Ok(Self::Unknown) };
        let Some(headers) = Headers::of(carrier)? else { return Ok(Self::Unknown) };
        let Some(text) = headers.first("content-length") else { return Ok(Self::None) };
        let text = text.to_str()?;
        // Python takes spaces, signs and more.
        let is_plain = !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(length) if is_plain => Ok(Self::Bytes(length.into_pyobject(py)?.into_any())),
            _ => Ok(Self::Unknown),
        }
    }
}
