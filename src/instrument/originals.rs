//! What a program may have changed in contrib's modules: functions, lists, variables of the environment.

use std::sync::Mutex;

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::py::once::{get_or_make, intern};

/// Functions that a module of contrib's has by these names.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct Originals {
    namespace: Py<PyDict>,
    names: Py<PyTuple>,
    /// Tells whether a function is contrib's, or ours in its place.
    is_known: Py<PyAny>,
    /// Those that were found to be known, by name.
    known: Mutex<Vec<Option<Py<PyAny>>>>,
}

#[pymethods]
impl Originals {
    #[new]
    fn new(namespace: Py<PyDict>, names: Bound<'_, PyTuple>, is_known: Py<PyAny>) -> Self {
        let known = Mutex::new((0..names.len()).map(|_| None).collect());
        Self { namespace, names: names.unbind(), is_known, known }
    }

    /// Whether all are contrib's, or ours in their place.
    pub fn are_there(&self, py: Python<'_>) -> PyResult<bool> {
        let namespace = self.namespace.bind(py);
        for (number, name) in self.names.bind(py).iter_borrowed().enumerate() {
            let Some(found) = namespace.get_item(name)? else { return Ok(false) };
            // By identity: a wrapper may say that it is equal.
            if !self.is_the_last(number, &found) && !self.is_one(number, &found)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    #[pyo3(signature = (*arguments))]
    fn __call__<'py>(&self, arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        self.call(arguments.py(), arguments)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.namespace)?;
        visit.call(&self.is_known)
    }
}

impl Originals {
    /// Calls the first, whoever's it is.
    pub fn call<'py>(&self, py: Python<'py>, arguments: impl PyCallArgs<'py>) -> PyResult<Bound<'py, PyAny>> {
        let name = self.names.bind(py).get_item(0)?;
        self.namespace.bind(py).as_any().get_item(name)?.call1(arguments)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Vec<Option<Py<PyAny>>>> {
        self.known.lock().unwrap_or_else(|e| e.into_inner())
    }

    #[inline]
    fn is_the_last(&self, number: usize, found: &Bound<'_, PyAny>) -> bool {
        self.known()[number].as_ref().is_some_and(|known| found.is(known))
    }

    #[cold]
    fn is_one(&self, number: usize, found: &Bound<'_, PyAny>) -> PyResult<bool> {
        let is_known = self.is_known.bind(found.py()).call1((found,))?.is_truthy()?;
        if is_known {
            let replaced = self.known()[number].replace(found.clone().unbind());
            // Not under the lock: its end may run Python code.
            drop(replaced);
        }
        Ok(is_known)
    }
}

const LISTS: [&[&str]; 3] =
    [&["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"], &["alwayson"], &["googlebot", "bingbot"]];

/// Whether contrib redacts the parameters, and looks for the tests and bots, that the native functions know.
#[pyfunction]
pub fn lists_are_known(py: Python<'_>) -> PyResult<bool> {
    static HTTP: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    static KNOWN: PyOnceLock<[KnownList; 3]> = PyOnceLock::new();
    let http = get_or_make(py, &HTTP, || Ok(py.import("opentelemetry.util.http")?.dict().unbind()))?.bind(py);
    let names = [intern!(py, "PARAMS_TO_REDACT"), intern!(py, "TEST_PATTERNS"), intern!(py, "BOT_PATTERNS")];
    let mut lists = [const { None }; 3];
    for (name, list) in names.iter().zip(&mut lists) {
        let Some(found) = http.get_item(name)? else { return Ok(false) };
        let Ok(found) = found.cast_into_exact::<PyList>() else { return Ok(false) };
        *list = Some(found);
    }
    let lists = lists.map(|list| list.expect("all were found"));
    if let Some(known) = KNOWN.get(py)
        && std::iter::zip(&lists, known).all(|(list, known)| known.is_unchanged(list))
    {
        return Ok(true);
    }
    let are_known = std::iter::zip(&lists, LISTS).all(|(list, texts)| are_texts(list, texts));
    if are_known {
        let _ = KNOWN.set(py, lists.map(KnownList::of));
    }
    Ok(are_known)
}

/// A list that was found to be known, and what was in it.
struct KnownList {
    list: Py<PyList>,
    entries: Vec<Py<PyAny>>,
}

impl KnownList {
    fn of(list: Bound<'_, PyList>) -> Self {
        Self { entries: list.iter().map(Bound::unbind).collect(), list: list.unbind() }
    }

    /// Whether it is this list, with these very objects in it and no others.
    #[inline]
    fn is_unchanged(&self, list: &Bound<'_, PyList>) -> bool {
        list.is(&self.list)
            && list.len() == self.entries.len()
            && list.iter().zip(&self.entries).all(|(entry, known)| entry.is(known))
    }
}

#[cold]
fn are_texts(list: &Bound<'_, PyList>, texts: &[&str]) -> bool {
    let is = |(entry, text): (Bound<'_, PyAny>, &&str)| {
        entry.cast_exact::<PyString>().is_ok_and(|entry| entry.to_str().is_ok_and(|entry| entry == *text))
    };
    list.len() == texts.len() && list.iter().zip(texts).all(is)
}

/// A variable of the environment, in the mapping that `os.environ` keeps it in.
///
/// `os.environ` itself encodes the name and decodes the value at each look-up, which costs more than all the rest.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct Variable {
    values: Py<PyDict>,
    encoded_name: Py<PyAny>,
}

#[pymethods]
impl Variable {
    #[new]
    fn new(values: Py<PyDict>, encoded_name: Py<PyAny>) -> Self {
        Self { values, encoded_name }
    }

    /// The encoded value, or None.
    fn __call__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.values.bind(py).get_item(&self.encoded_name)
    }
}

/// Whether a variable has a value; `read` is what `otel_rs.instrument._environment.reader` made.
pub fn is_set(read: &Bound<'_, PyAny>) -> PyResult<bool> {
    let value = match read.cast_exact::<Variable>() {
        Ok(variable) => variable.get().__call__(read.py())?,
        Err(_) => Some(read.call0()?),
    };
    value.map_or(Ok(false), |value| value.is_truthy())
}
