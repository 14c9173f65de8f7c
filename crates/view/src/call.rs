//! What a request says of itself before its body is looked at.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Traces,
    Metrics,
    Logs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Deflate,
    Zstd,
}

impl Compression {
    pub const NAMES: &str = "gzip, deflate, zstd";

    /// By its name in `Content-Encoding` or `grpc-encoding`.
    pub fn named(name: &str) -> Option<Self> {
        let named = |known: &str| name.trim().eq_ignore_ascii_case(known);
        match name {
            _ if named("") || named("identity") => Some(Self::None),
            _ if named("gzip") => Some(Self::Gzip),
            _ if named("deflate") => Some(Self::Deflate),
            _ if named("zstd") => Some(Self::Zstd),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub signal: Signal,
    pub encoding: Encoding,
    pub compression: Compression,
}

/// Also where it comes to a server of the other protocol.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|media_type| media_type.as_bytes().starts_with(b"application/grpc"))
}
