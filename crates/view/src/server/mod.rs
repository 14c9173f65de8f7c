//! A server: takes connections, asks each request for its right to be here, and answers it.

mod activity;
mod connection;
mod listen;
mod service;

pub use listen::serve;
pub use service::Service;
