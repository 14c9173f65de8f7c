//! A getter for upstream's code, of what was read already: a getter is asked once.

use pyo3::prelude::*;

#[pyclass(frozen, module = "otel_rs._native")]
pub struct ReadAhead {
    getter: Py<PyAny>,
    values: Vec<(&'static str, Py<PyAny>)>,
}

impl ReadAhead {
    pub fn of(getter: &Bound<'_, PyAny>, values: Vec<(&'static str, Py<PyAny>)>) -> Self {
        Self { getter: getter.clone().unbind(), values }
    }
}

#[pymethods]
impl ReadAhead {
    fn get<'py>(&self, carrier: &Bound<'py, PyAny>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = carrier.py();
        let name = key.extract::<&str>().ok();
        match self.values.iter().find(|(known, _)| Some(*known) == name) {
            Some((_, value)) => Ok(value.bind(py).clone()),
            None => self.getter.bind(py).call_method1("get", (carrier, key)),
        }
    }

    fn keys<'py>(&self, carrier: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.getter.bind(carrier.py()).call_method1("keys", (carrier,))
    }
}
