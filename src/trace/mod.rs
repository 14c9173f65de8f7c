//! The tracing SDK as Python sees it.

mod arguments;
pub mod classes;
pub mod current_span;
mod export;
pub mod fast_methods;
mod ids;
mod limits;
pub mod methods;
pub mod non_recording_span;
pub mod parent;
pub mod processors;
mod sampler;
pub mod span;
pub mod span_context;
pub mod start;
pub mod tracer;
