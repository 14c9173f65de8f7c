//! Contexts that travel in headers. Contexts, spans and trace states that are made here are the API's own.

mod arguments;
mod baggage;
mod carrier;
mod composite;
pub mod functions;
mod held;
mod known;
mod objects;
mod read_ahead;
mod replaced;
mod trace_context;
