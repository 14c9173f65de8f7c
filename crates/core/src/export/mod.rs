//! Requests of one signal to one destination: sent, split where they are too large, and counted.

pub(crate) mod counters;
mod ending;
pub(crate) mod exporter;
pub mod split;
mod started;

pub use counters::Exports;
pub use ending::finish_requests;
pub use exporter::{Exporter, Operation};
pub use started::StartedExport;
