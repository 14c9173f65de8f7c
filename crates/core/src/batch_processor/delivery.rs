//! A batch processor at the end of the process.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::BatchProcessorState;
use crate::process::deliveries::Delivery;
use crate::process::report::{Kind, Level, report};
use crate::process::sync::sleep;

/// How often `flush` checks whether it is done.
const FLUSH_CHECK_INTERVAL: Duration = Duration::from_millis(2);

impl Delivery for BatchProcessorState {
    fn begin_exit(self: Arc<Self>) {
        self.start_flush();
    }

    fn flush(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.draining.send_replace(true);
        let ticket = self.start_flush();
        Box::pin(async move {
            while !self.queue.is_done(ticket) {
                sleep(FLUSH_CHECK_INTERVAL).await;
            }
        })
    }

    fn finish(self: Arc<Self>, until: Instant) {
        let ticket = self.start_shutdown();
        if !self.wait(ticket, until) {
            let left = self.abandon();
            report(Level::Warning, Kind::AfterShutdown, self.exporter.source(), || {
                let items = self.exporter.noun();
                format!(
                    "{left} {items} of a processor that was forgotten, not shut down, could not be exported in time"
                )
            });
        }
    }

    fn is_done(&self) -> bool {
        self.queue.is_all_done()
    }
}
