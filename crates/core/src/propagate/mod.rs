//! W3C's headers, `traceparent`, `tracestate` and `baggage`, read and written.
//!
//! What `opentelemetry-api` reads without a word is read here to the same result. What it reports or refuses with a log
//! line is not read here: the caller hands it to the API's own code, which finds the words. Work is linear in a header's
//! length, whatever is in it.

pub mod baggage;
mod cut;
mod hex;
pub mod percent;
pub mod trace_parent;
pub mod trace_state;

pub use trace_parent::TraceParent;
