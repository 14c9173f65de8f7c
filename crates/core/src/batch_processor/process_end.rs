//! What batch processors still export when the process ends.

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
use std::io;
#[cfg(unix)]
use std::sync::Arc;
use std::sync::Weak;
use std::time::{Duration, Instant};

#[cfg(unix)]
use tokio::time::sleep;

use super::registry::{DROPPED, LIVE, lock};
#[cfg(unix)]
use super::state::BatchProcessorState;
use crate::process::report::{Kind, Level, report};
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
use crate::process::termination;

/// When the end of the process begins: has all that batch processors have taken so far exported, so that none waits for
/// the shutdown of another, or of another signal.
pub fn start_flush_all() {
    let states: Vec<_> = lock(&LIVE).iter().filter_map(Weak::upgrade).collect();
    for state in states {
        state.start_flush();
    }
}

/// At the end of the process: waits for what dropped batch processors still export, and gives up what is left at the
/// deadline.
pub fn finish_dropped(until: Instant) {
    let dropped = std::mem::take(&mut *lock(&DROPPED));
    for state in dropped {
        let ticket = state.start_shutdown();
        if !state.wait(ticket, until) {
            let left = state.abandon();
            report(Level::Warning, Kind::AfterShutdown, state.exporter.source(), || {
                format!("{left} spans of a processor that was forgotten, not shut down, could not be exported in time")
            });
        }
    }
}

/// Exports, from the runtime's own thread, what every batch processor has taken so far, each batch tried once.
#[cfg(unix)]
async fn flush_all(timeout: Duration) {
    let states: Vec<_> = lock(&LIVE).iter().filter_map(Weak::upgrade).collect();
    let flush = |state: Arc<BatchProcessorState>| {
        state.draining.send_replace(true);
        let ticket = state.start_flush();
        (state, ticket)
    };
    let flushed: Vec<_> = states.into_iter().map(flush).collect();
    let _ = tokio::time::timeout(timeout, async {
        while !flushed.iter().all(|(state, ticket)| state.queue.is_done(*ticket)) {
            sleep(FLUSH_CHECK_INTERVAL).await;
        }
    })
    .await;
}

/// How often `flush_all` checks whether it is done.
#[cfg(unix)]
const FLUSH_CHECK_INTERVAL: Duration = Duration::from_millis(2);

/// From now on SIGTERM waits until all batch processors have exported, `timeout` at most. Does nothing where the signal
/// is handled or ignored.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub fn flush_before_sigterm(timeout: Duration) -> io::Result<()> {
    termination::flush_before_sigterm(timeout, |timeout| Box::pin(flush_all(timeout)))
}

/// From now on C's `exit` waits until all batch processors have exported, `timeout` at most.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub fn flush_before_exit(timeout: Duration) -> io::Result<()> {
    termination::flush_before_exit(timeout, |timeout| Box::pin(flush_all(timeout)))
}
