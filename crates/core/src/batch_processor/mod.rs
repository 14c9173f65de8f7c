//! From ended spans and emitted log records to exports: bounded batches, a worker, exact counts.

mod config;
mod counters;
mod delivery;
mod flush;
mod processor;
mod queue;
mod state;
#[cfg(test)]
mod tests;
mod worker;

pub use config::BatchProcessorConfig;
pub use counters::{Counts, Processed};
pub use processor::BatchProcessor;
pub use queue::Ticket;
