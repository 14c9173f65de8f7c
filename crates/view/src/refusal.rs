//! Why a request is refused, in the words of both protocols.

use std::fmt;

use http::StatusCode;
use tonic::Code;

/// Its text is for the peer and for the terminal, and may contain the peer's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub http: StatusCode,
    pub grpc: Code,
    pub message: String,
}

impl Refusal {
    pub fn new(http: StatusCode, grpc: Code, message: impl Into<String>) -> Self {
        Self { http, grpc, message: message.into() }
    }

    pub fn undecodable(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, format!("the body cannot be decoded: {message}"))
    }

    pub fn too_large(what: &str, max_bytes: usize) -> Self {
        let message = format!("{what} is larger than {max_bytes} bytes: send less at a time");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, message)
    }

    /// For now: the peer may send it again.
    pub fn unavailable(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message)
    }
}
