//! The SDK as Python sees it: tracer, span, sampler, ids, context, processors.

pub mod api;
pub mod at_exit;
pub mod boundary;
pub mod call;
pub mod context;
pub mod current_span;
pub mod exception;
pub mod ids;
pub mod instantiate;
pub mod interpreter;
pub mod methods;
pub mod non_recording_span;
pub mod parts;
pub mod pipeline;
pub mod processors;
pub mod readable_span;
pub mod sampler;
pub mod signals;
pub mod span;
pub mod span_context;
pub mod span_state;
pub mod thread_end;
pub mod tracer;
