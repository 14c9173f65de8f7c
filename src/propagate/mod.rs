//! Contexts that travel in headers. Contexts, spans and trace states that are made here are the API's own.

mod accessors;
mod arguments;
mod baggage;
mod composite;
mod field;
pub mod functions;
pub mod getter;
mod header;
mod held;
pub mod known;
mod names;
mod objects;
mod read_ahead;
mod replaced;
mod setter;
mod trace_context;
