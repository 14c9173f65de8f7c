//! The wire: what is sent and how. Nothing here knows Python.

pub mod attributes;
pub mod batch;
pub mod client;
pub mod exporter;
pub mod span;
pub mod wire;
