//! From ended spans and emitted log records to exports: bounded batches, a worker, exact counts.

mod config;
mod counters;
mod flush;
mod process_end;
mod processor;
mod queue;
mod registry;
mod state;
#[cfg(test)]
mod tests;
mod worker;

pub use config::BatchProcessorConfig;
pub use counters::{Counts, Processed};
pub use process_end::{finish_dropped, start_flush_all};
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub use process_end::{flush_before_exit, flush_before_sigterm};
pub use processor::BatchProcessor;
pub use queue::Ticket;
