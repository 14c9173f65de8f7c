//! The wire: what is sent and how. Nothing here knows Python.

pub mod attributes;
pub mod batch;
pub mod client;
pub mod counters;
pub mod exporter;
pub mod json;
pub mod log_record;
pub mod metric;
pub mod span;
pub mod split;
pub mod wire;
