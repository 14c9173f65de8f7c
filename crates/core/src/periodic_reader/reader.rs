//! The reader itself.

use std::sync::Arc;
use std::time::Instant;

use super::collection::{Found, Registered};
use super::config::PeriodicReaderConfig;
use super::state::{ReaderState, Ticket};
use crate::export::exporter::Exporter;
use crate::metrics::Reader;
use crate::process::deliveries;
use crate::process::fork::PerProcess;
use crate::process::sync::{AtomicBool, Ordering};

/// Collects the series of its streams and exports them, on the runtime's thread.
pub struct PeriodicReader {
    config: PeriodicReaderConfig,
    exporter: Arc<Exporter>,
    state: PerProcess<Arc<ReaderState>>,
    /// Outlives a fork: what was shut down before it stays so in the child.
    closed: AtomicBool,
}

impl PeriodicReader {
    pub fn new(config: PeriodicReaderConfig, exporter: Arc<Exporter>) -> Self {
        Self { config, exporter, state: PerProcess::new(), closed: AtomicBool::new(false) }
    }

    fn state(&self) -> &Arc<ReaderState> {
        self.state.get_or_make(|| {
            let closed = self.closed.load(Ordering::Acquire);
            Arc::new(ReaderState::new(self.config.clone(), Arc::clone(&self.exporter), closed))
        })
    }

    pub fn add(&self, stream: Registered) {
        self.state().streams().push(stream);
    }

    /// Collects these streams from now on. A forked child calls it first: it has none of its parent's.
    pub fn replace(&self, streams: Vec<Registered>) {
        let before = std::mem::replace(&mut *self.state().streams(), streams);
        drop(before);
    }

    /// From now on, or not any more, somebody else asks for a round at each interval.
    pub fn tick_elsewhere(&self, elsewhere: bool) {
        self.config.tick_elsewhere(elsewhere);
    }

    /// Asks for a round, in which goes what somebody else `found` as well.
    pub fn ask(&self, found: Found) -> Ticket {
        self.state().ask(found)
    }

    /// The ticket of the round that was asked for last.
    pub fn last(&self) -> Ticket {
        self.state().last()
    }

    /// Makes no more rounds, after a last one if it is asked for; each request is tried once.
    pub fn start_shutdown(&self, last_round: bool) -> Ticket {
        self.closed.store(true, Ordering::Release);
        let state = self.state();
        let ticket = if last_round { state.ask(Found::default()) } else { state.last() };
        state.close();
        ticket
    }

    /// Makes no more rounds than were asked for: somebody else collects from now on. An export under way goes on, and the
    /// end of the process waits for it.
    pub fn retire(&self) {
        self.start_shutdown(false);
        let state: Arc<ReaderState> = Arc::clone(self.state());
        deliveries::add_dropped(state);
    }

    /// Waits until the ticket's round is done, or the time is up. Blocks this thread.
    pub fn wait(&self, ticket: Ticket, until: Instant) -> bool {
        self.state().wait(ticket, until)
    }

    /// Gives up what is left after `start_shutdown`: it is counted as failed.
    pub fn abandon(&self) {
        self.state().abandoned.send_replace(true);
    }
}

impl Reader for PeriodicReader {
    fn has_something(&self) {
        if !self.closed.load(Ordering::Relaxed) {
            self.state().start();
        }
    }
}

impl Drop for PeriodicReader {
    /// A reader that is dropped without a shutdown still delivers what was measured.
    fn drop(&mut self) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        let Some(state) = self.state.get() else { return };
        let state: Arc<ReaderState> = Arc::clone(state);
        state.ask_for_last();
        state.close();
        deliveries::add_dropped(state);
    }
}
