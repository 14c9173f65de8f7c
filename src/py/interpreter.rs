//! Which interpreter the module is loaded by.

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

/// A subinterpreter may end while we wait natively, and our cached objects belong to one interpreter.
#[allow(unsafe_code)]
pub fn must_be_the_main_one() -> PyResult<()> {
    // SAFETY: the thread is attached, since it imports the module; neither call fails.
    let is_main = unsafe { ffi::PyInterpreterState_Get() == ffi::PyInterpreterState_Main() };
    if is_main {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "otel-rs cannot be used in a subinterpreter; run the program in the main interpreter \
         (mod_wsgi: WSGIApplicationGroup %{GLOBAL}; uWSGI: --single-interpreter)",
    ))
}
