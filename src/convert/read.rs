//! The wire's values as Python ones, for whoever reads a span.

use otel_rs_core::otlp::{Fields, Value, any_value, key_value_parts};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

/// Sets one KeyValue message's pair in a dict.
pub fn put_key_value(dict: &Bound<'_, PyDict>, key_value: &[u8]) -> PyResult<()> {
    match key_value_parts(key_value) {
        Some((key, value)) => dict.set_item(key, read(dict.py(), value)?),
        None => Ok(()),
    }
}

/// The value of an AnyValue message: sequences as tuples, as upstream keeps them.
pub fn read<'py>(py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let Some((field, value)) = Fields::of(message).next() else { return Ok(py.None().into_bound(py)) };
    match (u8::try_from(field).unwrap_or(0), value) {
        (any_value::STRING, Value::Bytes(text)) => Ok(PyString::new(py, &String::from_utf8_lossy(text)).into_any()),
        (any_value::BOOL, Value::Varint(flag)) => (flag != 0).into_bound_py_any(py),
        (any_value::INT, Value::Varint(int)) => (int as i64).into_bound_py_any(py),
        (any_value::DOUBLE, Value::Fixed64(bits)) => f64::from_bits(bits).into_bound_py_any(py),
        (any_value::BYTES, Value::Bytes(bytes)) => Ok(PyBytes::new(py, bytes).into_any()),
        (any_value::ARRAY, Value::Bytes(array)) => {
            let items: Vec<_> = messages(array).map(|item| read(py, item)).collect::<PyResult<_>>()?;
            Ok(PyTuple::new(py, items)?.into_any())
        }
        (any_value::KVLIST, Value::Bytes(list)) => {
            let dict = PyDict::new(py);
            messages(list).try_for_each(|pair| put_key_value(&dict, pair))?;
            Ok(dict.into_any())
        }
        _ => Ok(py.None().into_bound(py)),
    }
}

fn messages(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    Fields::of(list).filter_map(|(_, value)| match value {
        Value::Bytes(message) => Some(message),
        _ => None,
    })
}
