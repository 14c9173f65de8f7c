//! A reader at the end of the process.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::ReaderState;
use crate::process::deliveries::Delivery;
use crate::process::report::{Kind, Level, report};
use crate::process::sync::sleep;

/// How often `flush` checks whether it is done.
const FLUSH_CHECK_INTERVAL: Duration = Duration::from_millis(2);

impl Delivery for ReaderState {
    /// The shutdown's round is the last one: one now would send everything twice.
    fn begin_exit(self: Arc<Self>) {}

    fn flush(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.draining.send_replace(true);
        let ticket = self.ask_for_last();
        Box::pin(async move {
            while !self.is_round_done(ticket.number) {
                sleep(FLUSH_CHECK_INTERVAL).await;
            }
        })
    }

    fn finish(self: Arc<Self>, until: Instant) {
        let ticket = self.last();
        if !self.wait(ticket, until) {
            self.abandoned.send_replace(true);
            report(Level::Warning, Kind::AfterShutdown, self.exporter.source(), || {
                "Metrics of a reader that was forgotten, not shut down, could not be exported in time".into()
            });
        }
    }

    fn is_done(&self) -> bool {
        self.is_closed() && self.are_all_rounds_done()
    }
}
