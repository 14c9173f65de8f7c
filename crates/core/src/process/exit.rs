//! One deadline for the interpreter's exit, for whatever is waited for then.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::process::fork::PerProcess;

static DEADLINE: PerProcess<OnceLock<Instant>> = PerProcess::new();

/// The exit has begun: from now on no wait ends later than this. Only the first call counts.
pub fn begin_exit(timeout: Duration) {
    let now = Instant::now();
    if let Some(deadline) = now.checked_add(timeout) {
        let _ = DEADLINE.get_or_make(OnceLock::new).set(deadline);
    }
}

/// The deadline, or that of the exit if it comes earlier.
pub fn bound_by_exit(deadline: Instant) -> Instant {
    begun().map_or(deadline, |exit| deadline.min(exit))
}

/// What is left until the deadline of the exit, once that has begun.
pub fn left_of_exit() -> Option<Duration> {
    begun().map(|exit| exit.saturating_duration_since(Instant::now()))
}

fn begun() -> Option<Instant> {
    DEADLINE.get().and_then(OnceLock::get).copied()
}
