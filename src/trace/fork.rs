//! The resource of a forked child, which the providers refresh before its first span.

use std::sync::atomic::{AtomicU64, Ordering};

use otel_rs_core::process;
use pyo3::prelude::*;

use crate::py::exception;

/// The generation of processes that providers know of.
static HANDLED_FORKS: AtomicU64 = AtomicU64::new(0);

/// Called before each span: one load, unless the process was forked since the last one.
#[inline]
pub fn refresh_after_fork(py: Python<'_>) {
    if HANDLED_FORKS.load(Ordering::Relaxed) != process::generation() {
        after_fork(py);
    }
}

/// Has the providers refresh their resource, unless Python's fork hook has done it.
#[cold]
fn after_fork(py: Python<'_>) {
    let generation = process::generation();
    let refreshed = py.import("otel_rs.trace._provider").and_then(|module| module.call_method0("after_fork"));
    if let Err(error) = refreshed {
        exception::swallow(py, "The resource was not refreshed after a fork", error);
    }
    HANDLED_FORKS.store(generation, Ordering::Relaxed);
}
