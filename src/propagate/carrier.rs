//! Headers in carriers: read as a getter reads them, set as a setter sets them. Getters and setters of classes that we
//! know are left out where the carrier is the plain thing that they are for; all others are called.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFunction, PyList, PyString, PyTuple, PyType};

use crate::propagate::known::KnownClass;
use crate::propagate::read_ahead::ReadAhead;
use crate::py::call;
use crate::py::once::intern;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Field {
    TraceParent,
    TraceState,
    Baggage,
}

impl Field {
    pub const fn name(self) -> &'static str {
        match self {
            Self::TraceParent => "traceparent",
            Self::TraceState => "tracestate",
            Self::Baggage => "baggage",
        }
    }

    #[inline]
    pub fn key<'a, 'py>(self, py: Python<'py>) -> &'a Bound<'py, PyString> {
        match self {
            Self::TraceParent => intern!(py, "traceparent"),
            Self::TraceState => intern!(py, "tracestate"),
            Self::Baggage => intern!(py, "baggage"),
        }
    }

    #[inline]
    fn environ_key<'a, 'py>(self, py: Python<'py>) -> &'a Bound<'py, PyString> {
        match self {
            Self::TraceParent => intern!(py, "HTTP_TRACEPARENT"),
            Self::TraceState => intern!(py, "HTTP_TRACESTATE"),
            Self::Baggage => intern!(py, "HTTP_BAGGAGE"),
        }
    }
}

/// What a getter gives.
pub enum Header<'py> {
    Missing,
    One(Bound<'py, PyAny>),
    /// Anything else that it returned.
    Returned(Bound<'py, PyAny>),
}

/// The first of a header's values.
pub enum First<'py> {
    Missing,
    Text(Bound<'py, PyString>),
    Other,
}

impl<'py> First<'py> {
    #[inline]
    fn of(value: &Bound<'py, PyAny>) -> Self {
        value.cast_exact::<PyString>().map_or(Self::Other, |text| Self::Text(text.clone()))
    }
}

impl<'py> Header<'py> {
    #[inline]
    pub fn first(&self) -> First<'py> {
        match self {
            Self::Missing => First::Missing,
            Self::One(value) => First::of(value),
            Self::Returned(values) => match values.cast_exact::<PyList>() {
                Ok(values) => values.get_item(0).map_or(First::Missing, |value| First::of(&value)),
                Err(_) => First::Other,
            },
        }
    }

    /// The texts of all its values; None if it has other things.
    pub fn texts(&self) -> Option<Vec<Bound<'py, PyString>>> {
        match self {
            Self::Missing => Some(Vec::new()),
            Self::One(value) => value.cast_exact::<PyString>().ok().map(|text| vec![text.clone()]),
            Self::Returned(values) => {
                let values = values.cast_exact::<PyList>().ok()?;
                values.iter().map(|value| value.cast_into_exact::<PyString>().ok()).collect()
            }
        }
    }

    /// As a getter returns it.
    pub fn returned(&self, py: Python<'py>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Missing => Ok(py.None()),
            Self::One(value) => Ok(PyList::new(py, [value])?.into_any().unbind()),
            Self::Returned(values) => Ok(values.clone().unbind()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Mapping,
    Environ,
    Scope,
    Attributes,
    Called,
}

/// A class of getters or setters.
struct Known {
    module: &'static str,
    name: &'static str,
    method: &'static str,
    way: Way,
    class: KnownClass,
}

macro_rules! known {
    ($module:literal, $name:literal, $method:literal, $way:ident) => {
        Known {
            module: $module,
            name: $name,
            method: $method,
            way: Way::$way,
            class: KnownClass::new(0, |class| is_as_written(class, $module, $name, $method)),
        }
    };
}

static GETTERS: [Known; 4] = [
    known!("opentelemetry.propagators.textmap", "DefaultGetter", "get", Mapping),
    known!("opentelemetry.instrumentation.wsgi", "WSGIGetter", "get", Environ),
    known!("opentelemetry.instrumentation.asgi", "ASGIGetter", "get", Scope),
    known!("opentelemetry.instrumentation.celery", "CeleryGetter", "get", Attributes),
];

static SETTERS: [Known; 2] = [
    known!("opentelemetry.propagators.textmap", "DefaultSetter", "set", Mapping),
    known!("opentelemetry.instrumentation.asgi", "ASGISetter", "set", Scope),
];

/// Whether the method is the function of the class's own module.
fn is_as_written(class: &Bound<'_, PyType>, module: &str, name: &str, method: &str) -> PyResult<bool> {
    let function = class.getattr(method)?;
    let Ok(function) = function.cast_exact::<PyFunction>() else { return Ok(false) };
    Ok(class.qualname()? == name
        && class.module()? == module
        && function.getattr("__module__")?.eq(module)?
        && function.getattr("__qualname__")?.eq(format!("{name}.{method}"))?
        && !function.hasattr("__wrapped__")?)
}

#[inline]
fn way(known: &'static [Known], object: &Bound<'_, PyAny>) -> Way {
    match known.iter().find(|known| known.class.is_class_of(object)) {
        Some(known) => known.way,
        None => recognized(known, object),
    }
}

/// Looks whether it is a class that is met for the first time.
#[inline(never)]
fn recognized(known: &'static [Known], object: &Bound<'_, PyAny>) -> Way {
    let class = object.get_type();
    for known in known.iter().filter(|known| !known.class.is_set()) {
        let is_it = class.qualname().is_ok_and(|name| name == known.name)
            && is_as_written(&class, known.module, known.name, known.method).unwrap_or(false);
        if is_it {
            known.class.set(&class);
            if known.class.is_class_of(object) {
                return known.way;
            }
        }
    }
    Way::Called
}

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
            Way::Called => None,
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

fn name_and_value<'py>(header: &Bound<'py, PyAny>) -> Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let (name, value) = if let Ok(pair) = header.cast_exact::<PyTuple>() {
        (pair.len() == 2).then(|| (pair.get_item(0), pair.get_item(1)))?
    } else {
        let pair = header.cast_exact::<PyList>().ok()?;
        (pair.len() == 2).then(|| (pair.get_item(0), pair.get_item(1)))?
    };
    Some((name.ok()?.cast_into_exact().ok()?, value.ok()?.cast_into_exact().ok()?))
}

fn of_attributes<'py>(carrier: &Bound<'py, PyAny>, key: &Bound<'py, PyString>) -> PyResult<Option<Header<'py>>> {
    Ok(match carrier.getattr_opt(key)? {
        None => Some(Header::Missing),
        Some(value) if value.is_none() => Some(Header::Missing),
        Some(value) if value.is_exact_instance_of::<PyString>() => Some(Header::One(value)),
        Some(_) => None,
    })
}

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

    #[inline]
    pub fn set(&self, field: Field, value: &Bound<'py, PyAny>) -> PyResult<()> {
        let key = field.key(self.carrier.py());
        match self.way {
            Way::Mapping => self.carrier.set_item(key, value),
            Way::Scope if append(self.carrier, field, value)? => Ok(()),
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
fn append<'py>(carrier: &Bound<'py, PyAny>, field: Field, value: &Bound<'py, PyAny>) -> PyResult<bool> {
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
