//! The classes of getters and setters whose methods are left out where the carrier is the plain thing that they are for.

use pyo3::prelude::*;
use pyo3::types::{PyFunction, PyType};

use crate::propagate::known::KnownClass;

/// Where a getter finds headers, or a setter puts them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Mapping,
    Environ,
    Scope,
    Attributes,
    /// Of names and bytes, as Kafka's messages have them.
    Pairs,
    /// The same, and None is a message without headers.
    PairsOrNone,
    /// The same, or a dict of names and bytes.
    PairsOrDict,
    Called,
}

/// A class of getters or setters.
pub struct Known {
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

pub static GETTERS: [Known; 7] = [
    known!("opentelemetry.propagators.textmap", "DefaultGetter", "get", Mapping),
    known!("opentelemetry.instrumentation.wsgi", "WSGIGetter", "get", Environ),
    known!("opentelemetry.instrumentation.asgi", "ASGIGetter", "get", Scope),
    known!("opentelemetry.instrumentation.celery", "CeleryGetter", "get", Attributes),
    known!("opentelemetry.instrumentation.kafka.utils", "KafkaContextGetter", "get", PairsOrNone),
    known!("opentelemetry.instrumentation.confluent_kafka.utils", "KafkaContextGetter", "get", PairsOrNone),
    known!("opentelemetry.instrumentation.aiokafka.utils", "AIOKafkaContextGetter", "get", Pairs),
];

pub static SETTERS: [Known; 5] = [
    known!("opentelemetry.propagators.textmap", "DefaultSetter", "set", Mapping),
    known!("opentelemetry.instrumentation.asgi", "ASGISetter", "set", Scope),
    known!("opentelemetry.instrumentation.kafka.utils", "KafkaContextSetter", "set", Pairs),
    known!("opentelemetry.instrumentation.confluent_kafka.utils", "KafkaContextSetter", "set", PairsOrDict),
    known!("opentelemetry.instrumentation.aiokafka.utils", "AIOKafkaContextSetter", "set", Pairs),
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
pub fn way(known: &'static [Known], object: &Bound<'_, PyAny>) -> Way {
    match known.iter().find(|known| known.class.is_class_of(object)) {
        Some(known) => known.way,
        None => recognized(known, object),
    }
}

/// Looks whether it is a class that is met for the first time.
#[inline(never)]
fn recognized(known: &'static [Known], object: &Bound<'_, PyAny>) -> Way {
    let class = object.get_type();
    let Ok(name) = class.qualname() else { return Way::Called };
    for known in known.iter().filter(|known| !known.class.is_set()) {
        let is_it =
            name == known.name && is_as_written(&class, known.module, known.name, known.method).unwrap_or(false);
        if is_it {
            known.class.set(&class);
            if known.class.is_class_of(object) {
                return known.way;
            }
        }
    }
    Way::Called
}
