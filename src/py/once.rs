//! Python objects looked up once.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

/// What the cell holds, made at the first call.
///
/// Unlike the cell's own method nothing runs inside it: making an object can run any Python code (an import, a
/// finalizer that the garbage collector calls), and that may come here again on the same thread. Two threads may both
/// make one; the first to be kept counts.
#[inline(always)]
pub fn get_or_make<'a, T>(
    py: Python<'_>,
    cell: &'a PyOnceLock<T>,
    make: impl FnOnce() -> PyResult<T>,
) -> PyResult<&'a T> {
    match cell.get(py) {
        Some(known) => Ok(known),
        None => keep(py, cell, make),
    }
}

#[cold]
fn keep<'a, T>(py: Python<'_>, cell: &'a PyOnceLock<T>, make: impl FnOnce() -> PyResult<T>) -> PyResult<&'a T> {
    let made = make()?;
    let _ = cell.set(py, made);
    Ok(cell.get(py).expect("set just now, by this thread or another"))
}

/// A text that Python keeps once; see `intern!`.
pub struct Interned {
    text: &'static str,
    cell: PyOnceLock<Py<PyString>>,
}

impl Interned {
    pub const fn new(text: &'static str) -> Self {
        Self { text, cell: PyOnceLock::new() }
    }

    #[inline(always)]
    pub fn get<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, PyString> {
        match self.cell.get(py) {
            Some(interned) => interned.bind(py),
            None => self.make(py),
        }
    }

    #[cold]
    fn make<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, PyString> {
        let _ = self.cell.set(py, PyString::intern(py, self.text).unbind());
        self.cell.get(py).expect("set just now, by this thread or another").bind(py)
    }
}

/// The text as an interned object, made at the first use.
///
/// PyO3's own lets other threads run while its cell is being filled. One of them may fork: the child, where the thread
/// that fills the cell is not there, would wait for it for ever.
macro_rules! intern {
    ($py:expr, $text:expr) => {{
        static INTERNED: $crate::py::once::Interned = $crate::py::once::Interned::new($text);
        INTERNED.get($py)
    }};
}
pub(crate) use intern;
