//! What Python sees, as a table of contents.

pub mod fork;
pub mod otlp;
pub mod pipeline;
pub mod receiver;
pub mod report;
pub mod runtime;
