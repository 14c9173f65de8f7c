//! Exceptions: those of the user's telemetry code, which stay here, and those of the application, which are recorded.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::convert::log;
use crate::trace::call;

thread_local! {
    static INTERRUPTS: RefCell<Vec<(Greenlet, PyErr)>> = const { RefCell::new(Vec::new()) };
}

/// Interrupts kept on all threads, so that the usual case is one load.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// Logs an exception that telemetry code (a processor, a value's `__str__`) raised, so that it does not reach the
/// application. What is not an `Exception` was meant for the application; `take_interrupt` hands it on.
#[cold]
pub fn swallow(py: Python<'_>, doing: &str, error: PyErr) {
    if error.is_instance_of::<PyException>(py) {
        log::exception(py, doing, error);
    } else {
        keep_interrupt(py, error);
    }
}

/// Drops an exception that says nothing new, and keeps an interrupt.
#[cold]
pub fn ignore(py: Python<'_>, error: PyErr) {
    if !error.is_instance_of::<PyException>(py) {
        keep_interrupt(py, error);
    }
}

/// Keeps an interrupt until the API call is done. Of several the first counts.
#[cold]
pub fn keep_interrupt(py: Python<'_>, error: PyErr) {
    let greenlet = Greenlet::current(py);
    let _later = INTERRUPTS.with_borrow_mut(|kept| {
        if kept.iter().any(|(owner, _)| *owner == greenlet) {
            return Some(error);
        }
        kept.push((greenlet, error));
        KEPT.fetch_add(1, Ordering::Relaxed);
        None
    });
}

/// The interrupt that came while this thread was in here, if any.
#[inline]
pub fn take_interrupt(py: Python<'_>) -> Option<PyErr> {
    if KEPT.load(Ordering::Relaxed) == 0 { None } else { take_kept(py) }
}

#[cold]
fn take_kept(py: Python<'_>) -> Option<PyErr> {
    let greenlet = Greenlet::current(py);
    INTERRUPTS.with_borrow_mut(|kept| {
        let position = kept.iter().position(|(owner, _)| *owner == greenlet)?;
        KEPT.fetch_sub(1, Ordering::Relaxed);
        Some(kept.swap_remove(position).1)
    })
}

/// Which of a thread's greenlets runs (gevent, eventlet); they take turns within our calls too. Zero without them.
#[derive(PartialEq)]
struct Greenlet(usize);

impl Greenlet {
    fn current(py: Python<'_>) -> Self {
        let current = || {
            let modules = py.import("sys")?.getattr("modules")?;
            let greenlet = modules.cast::<PyDict>()?.get_item("greenlet")?;
            PyResult::Ok(
                greenlet.map(|module| module.call_method0("getcurrent")).transpose()?.map(|g| g.as_ptr() as usize),
            )
        };
        Self(current().ok().flatten().unwrap_or(0))
    }
}

/// The attributes of an exception's event, by the semantic conventions.
pub fn event_attributes<'py>(
    exception: &Bound<'py, PyAny>,
    escaped: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
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
    attributes.set_item(intern!(py, "exception.escaped"), escaped.str()?)?;
    Ok(attributes)
}
