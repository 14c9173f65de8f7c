//! Python objects looked up once.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

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
