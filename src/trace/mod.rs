//! The tracing SDK as Python sees it.

mod arguments;
pub mod classes;
pub mod current_span;
mod export;
mod ids;
mod limits;
pub mod methods;
pub mod non_recording_span;
pub mod parent;
pub mod processors;
mod sampler;
pub mod span;
pub mod span_context;
mod start;
pub mod tracer;
