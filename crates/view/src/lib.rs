//! The embedded OTLP receiver behind `otel-rs view`: what a developer starts when no collector is at hand.
//!
//! It listens for OTLP over gRPC and HTTP, answers as a collector does, and prints what arrives: traces as trees, or
//! every request as one line of OTLP/JSON. Nothing is stored and nothing is forwarded.
//!
//! What it is sent is untrusted: requests are bounded in size, before and after decoding, and in time; waiting spans are
//! bounded in number and bytes; no control character of a peer reaches the terminal; no page in a browser gets in by a
//! name of its own.

mod answer;
mod attributes;
mod body;
mod call;
mod complaints;
mod config;
mod decoding;
mod doubles;
mod error;
mod filter;
mod grpc;
mod hosts;
mod http;
mod intake;
mod json;
mod lines;
mod measure;
mod model;
mod page;
mod printer;
mod question;
#[cfg(unix)]
pub mod reader;
mod receiver;
mod refusal;
mod screen;
mod server;
mod terminal;
#[cfg(test)]
mod tests;
mod text;

pub use config::{DEFAULT_GRPC_ADDRESS, DEFAULT_HTTP_ADDRESS, Format, Limits, Protocol, ReceiverConfig};
pub use error::ReceiverError;
pub use filter::Filter;
pub use receiver::{End, Receiver};
pub use screen::Screen;
