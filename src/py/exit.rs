//! The interpreter's exit, which `otel_rs.exit` announces.

use std::time::{Duration, Instant};

use otel_rs_core::export;
use otel_rs_core::process;
use pyo3::prelude::*;

use crate::py::log;

/// The limit of an exit that no thread announced with `begin_exit`.
const UNANNOUNCED_EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// The exit has begun: nothing here waits for longer than this from now on.
#[pyfunction]
pub fn begin_exit(timeout_millis: u64) {
    process::begin_exit(Duration::from_millis(timeout_millis));
    process::begin_exit_of_all();
}

/// The timeout, or what is left of the exit's.
#[pyfunction]
pub fn bounded_by_exit(timeout_millis: f64) -> f64 {
    process::left_of_exit().map_or(timeout_millis, |left| timeout_millis.min(left.as_secs_f64() * 1e3))
}

/// The exit ends: waits for what processors that nobody shut down still export, and for requests of exporters that were
/// shut down meanwhile.
#[pyfunction]
pub fn finish_exit(py: Python<'_>) {
    py.detach(|| {
        process::finish_dropped(process::bound_by_exit(Instant::now() + UNANNOUNCED_EXIT_TIMEOUT));
        export::finish_requests();
    });
    log::drain_reports(py);
    log::finish_draining(py);
}

/// Where SIGTERM would kill this process at once, it first exports what is queued, for no longer than the timeout.
/// Nothing changes if there are no threads or file descriptors left for that.
#[pyfunction]
pub fn flush_before_sigterm(timeout_millis: u64) {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    let _ = process::flush_before_sigterm(Duration::from_millis(timeout_millis));
    let _ = timeout_millis;
}

/// C's `exit` first exports what is queued, for no longer than the timeout. Nothing changes if that cannot be set up.
#[pyfunction]
pub fn flush_before_exit(timeout_millis: u64) {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    let _ = process::flush_before_exit(Duration::from_millis(timeout_millis));
    let _ = timeout_millis;
}
