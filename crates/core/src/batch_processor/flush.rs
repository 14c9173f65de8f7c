//! Starting the worker, and waiting for what it exports.

use std::sync::Arc;
use std::time::Instant;

use super::queue::Ticket;
use super::state::BatchProcessorState;
use super::worker;
use crate::process::deliveries;
use crate::process::fork::generation;
use crate::process::report::{Kind, Level, report};
use crate::process::runtime;
use crate::process::sync::Ordering;

impl BatchProcessorState {
    /// Starts the worker if it is not there. Without it, or a thread for it, items wait in their bounds; the next batch
    /// tries again.
    pub fn start(self: &Arc<Self>) {
        if let Some(error) = deliveries::start(self, &self.started, worker::run) {
            report(Level::Error, Kind::NoThread, self.exporter.source(), || {
                format!(
                    "The export thread can't be started, {} wait in the queue for a flush: {error}",
                    self.exporter.noun()
                )
            });
        }
    }

    pub fn start_flush(self: &Arc<Self>) -> Ticket {
        let ticket = self.queue.request_flush();
        if !self.queue.is_empty() {
            self.start();
        }
        self.wake.notify_one();
        ticket
    }

    pub fn start_shutdown(self: &Arc<Self>) -> Ticket {
        self.queue.close();
        self.draining.send_replace(true);
        self.start_flush()
    }

    pub fn wait(self: &Arc<Self>, ticket: Ticket, until: Instant) -> bool {
        if ticket.generation != generation() {
            return true;
        }
        if !self.started.load(Ordering::Acquire) && !self.queue.is_empty() {
            self.start();
        }
        let is_done = || self.queue.is_done(ticket).then_some(());
        runtime::wait_for(until, || self.queue.wait(ticket, until).then_some(()), is_done).is_some()
    }
}
