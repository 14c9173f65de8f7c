//! Python's handles on exporters and batch processors.

pub mod batch_processor;
pub mod collection;
pub mod config;
pub mod exporter;
pub mod logs;
pub mod metrics;
