//! A forked child: what providers make anew before its first span or measurement.

use std::sync::atomic::{AtomicU64, Ordering};

use otel_rs_core::process;
use pyo3::prelude::*;

use crate::py::exception;

/// The generation of processes that providers know of.
static HANDLED_FORKS: AtomicU64 = AtomicU64::new(0);

/// Called before each span and measurement: one load, unless the process was forked since the last one.
#[inline]
pub fn refresh_after_fork(py: Python<'_>) {
    if HANDLED_FORKS.load(Ordering::Relaxed) != process::generation() {
        after_fork(py);
    }
}

/// Does what Python's fork hook has not done.
#[cold]
fn after_fork(py: Python<'_>) {
    let generation = process::generation();
    let refreshed = py.import("otel_rs.forks").and_then(|module| module.call_method0("after_fork"));
    if let Err(error) = refreshed {
        exception::swallow(py, "A forked child goes on with what was its parent's", error);
    }
    HANDLED_FORKS.store(generation, Ordering::Relaxed);
}
