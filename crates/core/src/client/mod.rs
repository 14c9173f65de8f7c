//! The exporting side of OTLP: one request in, one [`Outcome`] out, retries included.
//!
//! Implements the OTLP specification, sections "OTLP/gRPC" and "OTLP/HTTP".

mod cause;
mod channel;
mod compression;
mod config;
mod config_error;
mod connection;
mod deadline;
mod dial;
mod encoding;
mod endpoint;
mod failure;
mod greeting;
mod grpc;
mod grpc_codes;
mod headers;
mod http;
mod otlp_client;
mod outcome;
#[doc(hidden)]
pub mod parsers;
mod payload;
mod proxy;
mod ration;
mod read_first;
mod redaction;
mod remedy;
mod resolver;
mod response;
mod retry;
mod rpc_status;
mod secrets;
mod tls;
mod too_large;
mod transcode;
mod tunnel;

#[cfg(test)]
mod tests;

pub use cause::{Cause, Status};
pub use compression::Compression;
pub use config::{ClientConfig, Protocol, Signal, TlsFiles, TrustedFile};
pub use config_error::ConfigError;
pub use grpc_codes::GrpcCodes;
pub use otlp_client::Client;
pub use outcome::Outcome;

pub(crate) use deadline::Deadline;
