//! What was received, kept for the page as long as there is room.

use std::time::Instant;

use crate::decoding::Export;
use crate::model::{Metrics, OtherLogs, Traces, split};

#[derive(Default)]
pub struct Store {
    pub traces: Traces,
    pub dropped_traces: u64,
    pub metrics: Metrics,
    pub logs: OtherLogs,
    /// Counts the requests.
    pub version: u64,
}

impl Store {
    pub fn take(&mut self, export: Export) {
        self.version += 1;
        match export {
            Export::Traces(request) => self.dropped_traces += self.traces.add(request, Instant::now()).len() as u64,
            Export::Metrics(request) => drop(self.metrics.add(&request)),
            Export::Logs(request) => {
                let (of_traces, others) = split(request);
                for received in of_traces {
                    self.dropped_traces += self.traces.add_log(received, Instant::now()).len() as u64;
                }
                others.into_iter().for_each(|received| self.logs.add(received));
            }
        }
    }
}
