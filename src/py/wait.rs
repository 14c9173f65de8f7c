//! The one loop that waits: without the GIL, and checking for signals.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// How long a wait goes on before it lets pending signal handlers run.
pub const SIGNAL_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Calls `wait_until` without the GIL, until it has an outcome; None if the deadline passes first. Python's signal
/// handlers run in between, and what one raises ends the wait.
pub fn wait<T: Send>(
    py: Python<'_>,
    deadline: Instant,
    mut wait_until: impl FnMut(Instant) -> Option<T> + Send,
) -> PyResult<Option<T>> {
    loop {
        let until = deadline.min(Instant::now() + SIGNAL_CHECK_INTERVAL);
        if let Some(outcome) = py.detach(|| wait_until(until)) {
            return Ok(Some(outcome));
        }
        if until == deadline {
            return Ok(None);
        }
        py.check_signals()?;
    }
}
