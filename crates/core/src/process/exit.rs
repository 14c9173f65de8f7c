//! One deadline for the interpreter's exit, for whatever is waited for then.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep_until;

use crate::process::fork::PerProcess;

static DEADLINE: PerProcess<OnceLock<Instant>> = PerProcess::new();
static BEGUN: PerProcess<watch::Sender<bool>> = PerProcess::new();

/// The exit has begun: from now on no wait ends later than this, and no request is tried again. Only the first call
/// counts.
pub fn begin_exit(timeout: Duration) {
    let now = Instant::now();
    if let Some(deadline) = now.checked_add(timeout) {
        let _ = DEADLINE.get_or_make(OnceLock::new).set(deadline);
    }
    BEGUN.get_or_make(begun_or_not).send_replace(true);
}

/// True from the moment when the exit of this process begins.
pub fn exit_begun() -> watch::Receiver<bool> {
    BEGUN.get_or_make(begun_or_not).subscribe()
}

fn begun_or_not() -> watch::Sender<bool> {
    watch::Sender::new(false)
}

/// The deadline, or that of the exit if it comes earlier.
pub fn bound_by_exit(deadline: Instant) -> Instant {
    exit_deadline().map_or(deadline, |exit| deadline.min(exit))
}

/// What is left until the deadline of the exit, once that has begun.
pub fn left_of_exit() -> Option<Duration> {
    exit_deadline().map(|exit| exit.saturating_duration_since(Instant::now()))
}

/// Resolves when the deadline of the exit has passed.
pub async fn exit_deadline_passed() {
    let begun = exit_begun().wait_for(|begun| *begun).await.is_ok();
    match exit_deadline() {
        Some(deadline) if begun => sleep_until(deadline.into()).await,
        // The exit has no end that the clock can express.
        _ => std::future::pending().await,
    }
}

fn exit_deadline() -> Option<Instant> {
    DEADLINE.get().and_then(OnceLock::get).copied()
}
