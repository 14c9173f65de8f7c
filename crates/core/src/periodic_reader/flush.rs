//! Starting the worker, and waiting for the rounds that it makes.

use std::sync::Arc;
use std::time::Instant;

use super::collection::Found;
use super::state::{ReaderState, Ticket};
use super::worker;
use crate::process::deliveries;
use crate::process::fork::generation;
use crate::process::report::{Kind, Level, report};
use crate::process::runtime;

impl ReaderState {
    /// Starts the worker if it is not there. Without it, or a thread for it, points wait in their series; the next new
    /// series, flush or shutdown tries again.
    pub fn start(self: &Arc<Self>) {
        if let Some(error) = deliveries::start(self, &self.started, worker::run) {
            report(Level::Error, Kind::NoThread, self.exporter.source(), || {
                format!("The export thread can't be started, metrics wait for a flush: {error}")
            });
        }
    }

    /// Asks for a round, in which goes what somebody else `found`.
    pub fn ask(self: &Arc<Self>, found: Found) -> Ticket {
        if self.add_round(found) {
            self.start();
            self.wake.notify_one();
        }
        self.last()
    }

    /// Asks for what the end of the process or of the reader exports: nothing, where nothing is exported by itself.
    pub fn ask_for_last(self: &Arc<Self>) -> Ticket {
        if self.config.interval.is_none() { self.last() } else { self.ask(Found::default()) }
    }

    /// Blocks until the ticket's round is done; false if the time is up before.
    pub fn wait(self: &Arc<Self>, ticket: Ticket, until: Instant) -> bool {
        if ticket.generation != generation() {
            return true;
        }
        let is_done = || self.is_round_done(ticket.number).then_some(());
        runtime::wait_for(until, || self.wait_for_round(ticket.number, until).then_some(()), is_done).is_some()
    }
}
