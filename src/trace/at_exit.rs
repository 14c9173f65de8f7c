//! The interpreter's exit, as `otel_rs.exit` tells of it.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::convert::log;
use crate::exit;
use crate::pipeline::finish_dropped;

/// The exit has begun: nothing here waits for longer than this from now on.
#[pyfunction]
pub fn begin_exit(timeout_millis: u64) {
    exit::begin(Duration::from_millis(timeout_millis));
}

/// The timeout, or what is left of the exit's.
#[pyfunction]
pub fn bounded_by_exit(timeout_millis: f64) -> f64 {
    exit::left().map_or(timeout_millis, |left| timeout_millis.min(left.as_secs_f64() * 1e3))
}

/// The exit ends: waits for what processors that were forgotten still export.
#[pyfunction]
pub fn finish_exit(py: Python<'_>) {
    py.detach(|| finish_dropped(exit::bound(Instant::now() + FINISH)));
    log::drain_reports(py);
}

/// Where SIGTERM would kill this process at once, it does so once what waits has been exported, or after the timeout.
/// Without threads or file descriptors left for that it stays as it was.
#[pyfunction]
pub fn flush_before_sigterm(timeout_millis: u64) {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    let _ = crate::termination::flush_before_sigterm(Duration::from_millis(timeout_millis));
    let _ = timeout_millis;
}

/// C's `exit` waits until what waits has been exported, or for the timeout; if not, as above.
#[pyfunction]
pub fn flush_before_exit(timeout_millis: u64) {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    let _ = crate::termination::flush_before_exit(Duration::from_millis(timeout_millis));
    let _ = timeout_millis;
}

/// For an exit whose beginning nobody told of.
const FINISH: Duration = Duration::from_secs(10);
