//! Interrupts (KeyboardInterrupt, what a signal's handler raised) that come while we are in telemetry code: kept until
//! the API call is done, and then raised in the application.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyDict;

thread_local! {
    static INTERRUPTS: RefCell<Vec<(Greenlet, PyErr)>> = const { RefCell::new(Vec::new()) };
}

/// Interrupts kept on all threads, so that the usual case is one load.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// Drops an exception, and keeps it if it is an interrupt.
#[cold]
pub fn ignore(py: Python<'_>, error: PyErr) {
    if !error.is_instance_of::<PyException>(py) {
        keep_interrupt(py, error);
    }
}

/// Keeps an interrupt until the API call is done. If there are several, the first is kept.
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

/// The interrupt that arrived during this thread's API call, if any.
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

/// Which of a thread's greenlets runs (gevent, eventlet), since they may switch within our calls. Zero without
/// greenlets.
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
