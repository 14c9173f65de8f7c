//! Attributes as a dict, for whoever reads a span.

use otel_rs_core::otlp::{Fields, Value};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::attributes::{Originals, PyAttributes};
use crate::convert::read::put_key_value;

/// A copy of some attributes, taken under a lock, from which Python objects are made after it.
pub struct Snapshot {
    wire: Vec<u8>,
    originals: Originals,
}

impl Snapshot {
    pub fn of(py: Python<'_>, attributes: &PyAttributes) -> Self {
        let mut wire = Vec::with_capacity(attributes.wire.wire_len());
        attributes.wire.write(&mut wire);
        let originals = attributes.originals().iter().map(|(key, value)| (key.clone(), value.clone_ref(py))).collect();
        Self { wire, originals }
    }

    pub fn into_dict(self, py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
        let dict = PyDict::new(py);
        for (_, field) in Fields::of(&self.wire) {
            if let Value::Bytes(key_value) = field {
                put_key_value(&dict, key_value)?;
            }
        }
        put_originals(&dict, self.originals)?;
        Ok(dict)
    }
}

/// Puts in the original values of attributes that the wire form does not hold exactly.
pub fn put_originals(attributes: &Bound<'_, PyDict>, originals: Originals) -> PyResult<()> {
    for (key, value) in originals {
        // An attribute that was evicted meanwhile stays so.
        if attributes.contains(&*key)? {
            attributes.set_item(&*key, value)?;
        }
    }
    Ok(())
}
