//! The embedded OTLP receiver behind `otel-rs view`: what a developer starts when no collector is at hand.
//!
//! It listens for OTLP over gRPC and HTTP, answers as a collector does, and prints what arrives: traces as trees, or
//! every request as one line of OTLP/JSON. Nothing is stored and nothing is forwarded.
//!
//! What it is sent is untrusted: requests are bounded in size, waiting spans are bounded in number and bytes, and no
//! control character of a peer reaches the terminal.

mod attributes;
mod config;
mod error;
mod grpc;
mod http;
mod intake;
mod json;
mod pending;
mod printer;
mod receiver;
mod summary;
#[cfg(test)]
mod tests;
mod text;
mod tree;

pub use config::{DEFAULT_GRPC_ADDRESS, DEFAULT_HTTP_ADDRESS, DEFAULT_MAX_REQUEST_BYTES, Format, ReceiverConfig};
pub use error::ReceiverError;
pub use receiver::Receiver;
pub use text::Paint;
