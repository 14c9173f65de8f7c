//! What a receiver listens on, takes and prints.

use crate::text::Paint;

pub const DEFAULT_GRPC_ADDRESS: &str = "127.0.0.1:4317";
pub const DEFAULT_HTTP_ADDRESS: &str = "127.0.0.1:4318";
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Each trace as a tree, metrics and logs in short.
    Tree(Paint),
    /// Each request as one line of OTLP/JSON.
    Json,
}

#[derive(Clone, Debug)]
pub struct ReceiverConfig {
    /// `HOST:PORT` of the gRPC server; `None` turns it off, port 0 lets the system choose.
    pub grpc: Option<String>,
    /// `HOST:PORT` of the HTTP server; `None` turns it off, port 0 lets the system choose.
    pub http: Option<String>,
    pub format: Format,
    /// The largest request that is accepted, in bytes; holds before and after decompression.
    pub max_request_bytes: usize,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            grpc: Some(DEFAULT_GRPC_ADDRESS.to_owned()),
            http: Some(DEFAULT_HTTP_ADDRESS.to_owned()),
            format: Format::Tree(Paint::PLAIN),
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
        }
    }
}
