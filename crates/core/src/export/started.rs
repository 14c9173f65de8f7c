//! An export that a thread waits for.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::export::ending;
use crate::export::exporter::{Exported, Exporter};
use crate::process::exit::bound_by_exit;
use crate::process::fork::generation;
use crate::process::runtime;

/// The client keeps its own deadline; this is the net below it.
const OUTCOME_MARGIN: Duration = Duration::from_secs(5);

/// Longer timeouts are not added to the clock.
const MAX_TIMEOUT: Duration = Duration::from_secs(86_400);

/// An export under way on the runtime.
pub struct StartedExport {
    exporter: Arc<Exporter>,
    items: u64,
    outcome: Mutex<mpsc::Receiver<Exported>>,
    task: JoinHandle<()>,
    generation: u64,
}

impl StartedExport {
    /// Starts to send a request with so many items in it. None where that is not possible: they are counted as failed.
    pub fn new(exporter: &Arc<Exporter>, request: Bytes, items: u64) -> Option<Self> {
        let handle = match runtime::running() {
            Ok(running) => running.handle,
            Err(error) => {
                exporter.fail(items, &format!("the export can't be started: {error}"));
                return None;
            }
        };
        let (sender, outcome) = mpsc::channel();
        let theirs = Arc::clone(exporter);
        let task = handle.spawn(async move {
            let _ = sender.send(theirs.export(request, items).await);
        });
        let (exporter, outcome) = (Arc::clone(exporter), Mutex::new(outcome));
        Some(Self { exporter, items, outcome, task, generation: generation() })
    }

    /// When the outcome is there at the latest.
    pub fn deadline(&self) -> Instant {
        let timeout = self.exporter.config().timeout.min(MAX_TIMEOUT);
        bound_by_exit(Instant::now() + timeout + OUTCOME_MARGIN) + ending::SETTLING
    }

    /// Whether the request was delivered; None if that is not known by `until`. In a forked child it was not: the
    /// export is the parent's.
    pub fn wait(&self, until: Instant) -> Option<bool> {
        if self.generation != generation() {
            return Some(false);
        }
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = || match outcome.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Err(mpsc::RecvTimeoutError::Timeout) => None,
            outcome => Some(outcome.ok()),
        };
        let look = || match outcome.try_recv() {
            Err(mpsc::TryRecvError::Empty) => None,
            outcome => Some(outcome.ok()),
        };
        let exported = runtime::wait_for(until, wait, look)?;
        if exported.is_none() {
            self.exporter.report_unfinished(self.items, "the export panicked");
        }
        Some(exported.is_some_and(|exported| exported.delivered))
    }

    /// Ends the export at its deadline.
    pub fn give_up(&self) {
        self.cancel();
        self.exporter.report_unfinished(self.items, "no outcome in time");
    }

    /// Ends the export, of which nobody wants to know any more.
    pub fn cancel(&self) {
        self.task.abort();
    }
}
