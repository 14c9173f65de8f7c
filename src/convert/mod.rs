//! Between Python's values and the wire.

pub mod attributes;
pub mod exception_attributes;
pub mod fields;
pub mod log_records;
pub mod metrics;
pub mod pairs;
pub mod read;
pub mod scope;
pub mod scratch;
pub mod snapshot;
pub mod stock_span;
pub mod value;
