//! Headers in carriers, set as a setter sets them.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::propagate::accessors::{SETTERS, Way, way};
use crate::propagate::field::Field;
use crate::py::call;
use crate::py::once::intern;

pub struct Setter<'a, 'py> {
    pub object: &'a Bound<'py, PyAny>,
    pub carrier: &'a Bound<'py, PyAny>,
    way: Way,
}

impl<'a, 'py> Setter<'a, 'py> {
    #[inline]
    pub fn of(object: &'a Bound<'py, PyAny>, carrier: &'a Bound<'py, PyAny>) -> Self {
        Self { object, carrier, way: way(&SETTERS, object) }
    }

    /// Whether no code of Python's is called where the carrier is of the class that it is for.
    pub fn is_known(&self) -> bool {
        self.way != Way::Called
    }

    #[inline]
    pub fn set(&self, field: Field, value: &Bound<'py, PyAny>) -> PyResult<()> {
        let key = field.key(self.carrier.py());
        match self.way {
            Way::Mapping => match self.carrier.cast_exact::<PyDict>() {
                Ok(dict) => dict.set_item(key, value),
                Err(_) => self.carrier.set_item(key, value),
            },
            Way::Scope if append_to_scope(self.carrier, field, value)? => Ok(()),
            Way::Pairs if append_pair(self.carrier, key, value)? => Ok(()),
            Way::PairsOrDict if append_pair(self.carrier, key, value)? || set_bytes(self.carrier, key, value)? => {
                Ok(())
            }
            _ => self.call(key, value),
        }
    }

    #[cold]
    fn call(&self, key: &Bound<'py, PyString>, value: &Bound<'py, PyAny>) -> PyResult<()> {
        call::method(intern!(key.py(), "set"), [self.object, self.carrier, key.as_any(), value], None)?;
        Ok(())
    }
}

/// To the headers of an ASGI message; false if it has none yet, or none that we know.
fn append_to_scope<'py>(carrier: &Bound<'py, PyAny>, field: Field, value: &Bound<'py, PyAny>) -> PyResult<bool> {
    let py = carrier.py();
    let Ok(scope) = carrier.cast_exact::<PyDict>() else { return Ok(false) };
    let Some(headers) = scope.get_item(intern!(py, "headers"))? else { return Ok(false) };
    let (Ok(headers), Ok(value)) = (headers.cast_exact::<PyList>(), value.cast_exact::<PyString>()) else {
        return Ok(false);
    };
    if headers.is_empty() {
        return Ok(false);
    }
    let value = value.to_str()?.as_bytes();
    headers.append(PyList::new(py, [PyBytes::new(py, field.name().as_bytes()), PyBytes::new(py, value)])?)?;
    Ok(true)
}

/// To the headers of one of Kafka's messages; false if they are no list.
fn append_pair<'py>(
    carrier: &Bound<'py, PyAny>,
    key: &Bound<'py, PyString>,
    value: &Bound<'py, PyAny>,
) -> PyResult<bool> {
    let (Ok(headers), Some(value)) = (carrier.cast_exact::<PyList>(), encoded(value)) else { return Ok(false) };
    headers.append((key, value))?;
    Ok(true)
}

/// In the headers of one of Kafka's messages; false if they are no dict.
fn set_bytes<'py>(
    carrier: &Bound<'py, PyAny>,
    key: &Bound<'py, PyString>,
    value: &Bound<'py, PyAny>,
) -> PyResult<bool> {
    let (Ok(headers), Some(value)) = (carrier.cast_exact::<PyDict>(), encoded(value)) else { return Ok(false) };
    headers.set_item(key, value)?;
    Ok(true)
}

/// None if it is no text, an empty one, or one without UTF-8: the setters do other things with those.
fn encoded<'py>(value: &Bound<'py, PyAny>) -> Option<Bound<'py, PyBytes>> {
    let text = value.cast_exact::<PyString>().ok()?.to_str().ok()?;
    (!text.is_empty()).then(|| PyBytes::new(value.py(), text.as_bytes()))
}
