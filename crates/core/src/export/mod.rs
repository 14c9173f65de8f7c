//! Requests of one signal to one destination: sent, split where they are too large, and counted.

pub(crate) mod counters;
pub(crate) mod exporter;
pub mod split;
mod started;

pub use counters::Exports;
pub use exporter::{Exporter, Operation};
pub use started::StartedExport;
