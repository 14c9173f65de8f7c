//! Headers in carriers, read as a getter reads them.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::propagate::accessors::{GETTERS, Way, way};
use crate::propagate::field::Field;
use crate::propagate::header::Header;
use crate::propagate::read_ahead::ReadAhead;
use crate::py::call;
use crate::py::once::intern;

pub struct Getter<'a, 'py> {
    pub object: &'a Bound<'py, PyAny>,
    pub carrier: &'a Bound<'py, PyAny>,
    way: Way,
}

impl<'a, 'py> Getter<'a, 'py> {
    #[inline]
    pub fn of(object: &'a Bound<'py, PyAny>, carrier: &'a Bound<'py, PyAny>) -> Self {
        Self { object, carrier, way: way(&GETTERS, object) }
    }

    #[inline]
    pub fn read(&self, field: Field) -> PyResult<Header<'py>> {
        let py = self.carrier.py();
        let read = match self.way {
            Way::Mapping => of_mapping(self.carrier, field.key(py))?,
            Way::Environ => of_environ(self.carrier, field.environ_key(py))?,
            Way::Scope => of_scope(self.carrier, field)?,
            Way::Attributes => of_attributes(self.carrier, field.key(py))?,
            Way::PairsOrNone if self.carrier.is_none() => Some(Header::Missing),
            Way::Pairs | Way::PairsOrNone => of_pairs(self.carrier, field),
            Way::PairsOrDict | Way::Called => None,
        };
        match read {
            Some(header) => Ok(header),
            None => self.call(field.key(py)),
        }
    }

    #[cold]
    fn call(&self, key: &Bound<'py, PyString>) -> PyResult<Header<'py>> {
        let returned = call::method(intern!(key.py(), "get"), [self.object, self.carrier, key.as_any()], None)?;
        if returned.is_none() {
            return Ok(Header::Missing);
        }
        match returned.cast_exact::<PyList>() {
            Ok(values) if values.len() == 1 => Ok(Header::One(values.get_item(0)?)),
            _ => Ok(Header::Returned(returned)),
        }
    }

    /// A getter that gives what was read, for upstream's code.
    #[cold]
    pub fn after(&self, read: &[(Field, &Header<'py>)]) -> PyResult<Bound<'py, PyAny>> {
        let py = self.carrier.py();
        let values = read.iter().map(|(field, header)| Ok((field.name(), header.returned(py)?)));
        let values = values.collect::<PyResult<Vec<_>>>()?;
        Ok(Bound::new(py, ReadAhead::of(self.object, values))?.into_any())
    }
}

// Each gives None where the getter itself has to look.

#[inline]
fn of_mapping<'py>(carrier: &Bound<'py, PyAny>, key: &Bound<'py, PyString>) -> PyResult<Option<Header<'py>>> {
    let Ok(dict) = carrier.cast_exact::<PyDict>() else { return Ok(None) };
    Ok(match dict.get_item(key)? {
        None => Some(Header::Missing),
        Some(value) if value.is_none() => Some(Header::Missing),
        Some(value) if value.is_exact_instance_of::<PyString>() => Some(Header::One(value)),
        Some(_) => None,
    })
}

#[inline]
fn of_environ<'py>(carrier: &Bound<'py, PyAny>, key: &Bound<'py, PyString>) -> PyResult<Option<Header<'py>>> {
    let Ok(environ) = carrier.cast_exact::<PyDict>() else { return Ok(None) };
    let value = environ.get_item(key)?.filter(|value| !value.is_none());
    Ok(Some(value.map_or(Header::Missing, Header::One)))
}

fn of_scope<'py>(carrier: &Bound<'py, PyAny>, field: Field) -> PyResult<Option<Header<'py>>> {
    let py = carrier.py();
    let Ok(scope) = carrier.cast_exact::<PyDict>() else { return Ok(None) };
    let Some(headers) = scope.get_item(intern!(py, "headers"))? else { return Ok(Some(Header::Missing)) };
    let Ok(headers) = headers.cast_exact::<PyList>() else { return Ok(None) };
    let mut found = Header::Missing;
    for header in headers.iter() {
        let Some((name, value)) = name_and_value(&header) else { return Ok(None) };
        let name = name.as_bytes();
        if !name.is_ascii() {
            return Ok(None);
        }
        if !name.eq_ignore_ascii_case(field.name().as_bytes()) {
            continue;
        }
        let value = value.as_bytes();
        let (true, Header::Missing, Ok(text)) = (value.is_ascii(), &found, std::str::from_utf8(value)) else {
            return Ok(None);
        };
        found = Header::One(PyString::new(py, text).into_any());
    }
    Ok(Some(found))
}

/// None where a name before the header's is no text, or a pair is another thing.
fn of_pairs<'py>(carrier: &Bound<'py, PyAny>, field: Field) -> Option<Header<'py>> {
    let is_value = |header: Bound<'py, PyAny>| {
        let Some((name, value)) = pair(&header) else { return Some(Err(())) };
        let Ok(name) = name.cast_exact::<PyString>() else { return Some(Err(())) };
        (name == field.name() && !value.is_none()).then_some(Ok(value))
    };
    let found = match (carrier.cast_exact::<PyList>(), carrier.cast_exact::<PyTuple>()) {
        (Ok(list), _) => list.iter().find_map(is_value),
        (_, Ok(tuple)) => tuple.iter().find_map(is_value),
        _ => return None,
    };
    let Some(value) = found else { return Some(Header::Missing) };
    let value = value.ok()?.cast_into_exact::<PyBytes>().ok()?;
    let text = std::str::from_utf8(value.as_bytes()).ok()?;
    Some(Header::One(PyString::new(carrier.py(), text).into_any()))
}

/// Of a header that is a pair of bytes.
pub fn name_and_value<'py>(header: &Bound<'py, PyAny>) -> Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let (name, value) = pair(header)?;
    Some((name.cast_into_exact().ok()?, value.cast_into_exact().ok()?))
}

fn pair<'py>(pair: &Bound<'py, PyAny>) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let (first, second) = if let Ok(pair) = pair.cast_exact::<PyTuple>() {
        (pair.len() == 2).then(|| (pair.get_item(0), pair.get_item(1)))?
    } else {
        let pair = pair.cast_exact::<PyList>().ok()?;
        (pair.len() == 2).then(|| (pair.get_item(0), pair.get_item(1)))?
    };
    Some((first.ok()?, second.ok()?))
}

fn of_attributes<'py>(carrier: &Bound<'py, PyAny>, key: &Bound<'py, PyString>) -> PyResult<Option<Header<'py>>> {
    Ok(match carrier.getattr_opt(key)? {
        None => Some(Header::Missing),
        Some(value) if value.is_none() => Some(Header::Missing),
        Some(value) if value.is_exact_instance_of::<PyString>() => Some(Header::One(value)),
        Some(_) => None,
    })
}
