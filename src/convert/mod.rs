//! Between Python's values and the wire.

pub mod attributes;
pub mod fields;
pub mod log;
pub mod log_records;
pub mod metrics;
pub mod once;
pub mod read;
pub mod scope;
pub mod stock_span;
pub mod text;
pub mod value;
