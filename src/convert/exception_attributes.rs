//! An exception as the attributes of the event or log record that stands for it.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::py::call;
use crate::py::once::intern;

/// The attributes that describe an exception, by the semantic conventions.
pub fn exception_attributes<'py>(exception: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let py = exception.py();
    let class = exception.get_type();
    let qualified = class.qualname()?.to_string_lossy().into_owned();
    let module = class.getattr(intern!(py, "__module__"))?;
    let kind = if !module.is_truthy()? || module.eq("builtins")? {
        qualified
    } else {
        format!("{}.{qualified}", module.str()?.to_string_lossy())
    };
    let lines = call::method(intern!(py, "format_exception"), [py.import("traceback")?.as_any(), exception], None)?;
    let stacktrace = PyString::new(py, "").call_method1("join", (lines,))?;
    let attributes = PyDict::new(py);
    attributes.set_item(intern!(py, "exception.type"), kind)?;
    attributes.set_item(intern!(py, "exception.message"), exception.str()?)?;
    attributes.set_item(intern!(py, "exception.stacktrace"), stacktrace)?;
    Ok(attributes)
}
