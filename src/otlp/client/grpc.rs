//! OTLP/gRPC: one unary call over a tonic channel.
//!
//! The call is framed and its status read here, not by `tonic::client::Grpc`, because that would panic on a malformed
//! `grpc-status-details-bin`, report an oversized answer by the code of a retryable server error, and compress again for
//! every attempt. The channel (HTTP/2, TLS, reconnection) is tonic's.

use std::error::Error;
use std::future::poll_fn;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TE};
use http::uri::PathAndQuery;
use http_body_util::{BodyExt, Full};
use prost::Message;
use tokio::time::Instant;
use tonic::codegen::Service;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig};
use tonic::{Code, ConnectError, Status, TimeoutExpired};

use super::compression::Compression;
use super::config::{ClientConfig, ConfigError};
use super::endpoint::Endpoint;
use super::failure::{Failure, sources};
use super::headers::request_headers;
use super::response::{Accepted, MAX_RESPONSE_BYTES};
use super::retry::Retry;
use super::rpc_status::{RetryInfo, RpcStatus};

/// Whether the message is compressed (one byte), and its length (four, big-endian).
const PREFIX_BYTES: usize = 5;

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_STATUS_DETAILS: &str = "grpc-status-details-bin";

pub(super) struct Transport {
    target: tonic::transport::Endpoint,
    path: PathAndQuery,
    headers: HeaderMap,
    compression: Compression,
    /// None until the first export, so that a client can be made outside the runtime.
    channel: Mutex<Option<Channel>>,
}

impl Transport {
    pub fn new(config: &ClientConfig, endpoint: &Endpoint) -> Result<Transport, ConfigError> {
        let tls = |error: tonic::transport::Error| ConfigError::Tls {
            problem: sources(&error).last().unwrap_or(&error).to_string(),
        };
        let origin = endpoint.url.origin().ascii_serialization();
        let mut target = tonic::transport::Endpoint::from_shared(origin)
            .map_err(tls)?
            .tcp_nodelay(true)
            // A connection attempt outlives the export that began it; without this, a host that swallows packets would
            // hold it for the operating system's minutes.
            .connect_timeout(config.timeout);
        if endpoint.is_tls() {
            let roots = ClientTlsConfig::new().with_enabled_roots();
            target = target.tls_config(roots).map_err(tls)?;
        }

        let mut own = HeaderMap::new();
        own.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        own.insert(TE, HeaderValue::from_static("trailers"));
        if let Some(encoding) = config.compression.encoding() {
            own.insert(GRPC_ENCODING, HeaderValue::from_static(encoding));
        }
        let headers = request_headers(config, own, |name| {
            [CONTENT_TYPE, HOST].contains(name) || name.as_str().starts_with("grpc-")
        })?;
        Ok(Transport {
            target,
            path: PathAndQuery::from_static(config.signal.grpc_path()),
            headers,
            compression: config.compression,
            channel: Mutex::new(None),
        })
    }

    /// `request` as a length-prefixed message.
    pub fn payload(&self, request: Bytes) -> Bytes {
        let mut message = Vec::with_capacity(PREFIX_BYTES + request.len());
        message.extend_from_slice(&[0; PREFIX_BYTES]);
        let mut message = self.compression.append(&request, message);
        let length = (message.len() - PREFIX_BYTES) as u32;
        message[0] = self.compression.encoding().is_some().into();
        message[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
        message.into()
    }

    /// One attempt. The caller enforces `deadline`; here it is told to the server.
    pub async fn send(&self, payload: &Bytes, deadline: Instant) -> Result<Accepted, Failure> {
        let mut headers = self.headers.clone();
        headers.insert(GRPC_TIMEOUT, timeout(deadline - Instant::now()));
        let body = tonic::body::Body::new(Full::new(payload.clone()));
        let mut request = http::Request::new(body);
        *request.method_mut() = http::Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = self.path.clone().into();
        *request.headers_mut() = headers;

        let mut channel = self.channel();
        poll_fn(|cx| channel.poll_ready(cx)).await.map_err(lost)?;
        let response = channel.call(request).await.map_err(lost)?;
        let (head, mut body) = response.into_parts();
        if head.headers.contains_key(GRPC_STATUS) {
            return conclude(head.headers, Bytes::new());
        }
        if head.status != http::StatusCode::OK {
            return Err(not_grpc(head.status));
        }
        let mut message = BytesMut::new();
        while let Some(frame) = body.frame().await {
            match frame.map_err(lost)?.into_data() {
                Ok(data) if message.len() + data.len() > PREFIX_BYTES + MAX_RESPONSE_BYTES => {
                    // The status would have come after the message: whether the data were accepted is unknown.
                    return Err(Failure::new(
                        format!("the answer is longer than {MAX_RESPONSE_BYTES} bytes"),
                        "",
                        Retry::Never,
                    ));
                }
                Ok(data) => message.extend_from_slice(&data),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return conclude(trailers, message.freeze());
                    }
                }
            }
        }
        Err(Failure::new("the answer has no grpc-status", "", Retry::Never))
    }

    fn channel(&self) -> Channel {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        channel.get_or_insert_with(|| self.target.connect_lazy()).clone()
    }

    /// To be called when a call went unanswered: the peer may be gone without a trace, and the operating system would
    /// take many minutes to notice. Calls in flight keep the old connection.
    pub fn forget_connection(&self) {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        *channel = None;
    }
}

/// At most eight digits, as gRPC demands, in milliseconds; rounded up, so that the server is not the first to give up.
fn timeout(remaining: Duration) -> HeaderValue {
    let millis = remaining.as_millis().saturating_add(1).min(99_999_999);
    HeaderValue::from_str(&format!("{millis}m")).expect("digits and a letter are a header value")
}

/// The call's end: `status` is the header map that carries `grpc-status`.
fn conclude(mut status: HeaderMap, message: Bytes) -> Result<Accepted, Failure> {
    let Some(code) = status.get(GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes())) else {
        return Err(Failure::new("the answer has no grpc-status", "", Retry::Never));
    };
    if code == Code::Ok {
        return Ok(Accepted::decode(unframed(message)));
    }
    // Taken out first: decoded by from_header_map, malformed details would panic.
    let details = status.remove(GRPC_STATUS_DETAILS);
    let text = Status::from_header_map(&status).map(|status| status.message().to_owned());
    Err(Failure::new(code_name(code), text.unwrap_or_default(), retry(code, details.and_then(retry_info))))
}

/// The message without its prefix; empty if it is compressed, which we never offer to accept, or if there is none.
fn unframed(mut message: Bytes) -> Bytes {
    if message.len() < PREFIX_BYTES || message.get_u8() != 0 {
        return Bytes::new();
    }
    let length = message.get_u32() as usize;
    message.truncate(length);
    message
}

fn retry(code: Code, retry_info: Option<RetryInfo>) -> Retry {
    let retryable = match code {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        // The server recovers from it only if it says when.
        Code::ResourceExhausted => retry_info.is_some(),
        _ => false,
    };
    match retry_info.and_then(|info| info.delay()) {
        _ if !retryable => Retry::Never,
        Some(delay) => Retry::After(delay),
        None => Retry::Backoff,
    }
}

fn retry_info(details: HeaderValue) -> Option<RetryInfo> {
    let mut headers = HeaderMap::new();
    headers.insert(GRPC_STATUS_DETAILS, details);
    let metadata = MetadataMap::from_headers(headers);
    let details = metadata.get_bin(GRPC_STATUS_DETAILS)?.to_bytes().ok()?;
    RpcStatus::decode(details).ok()?.retry_info()
}

/// A failure of the connection, as opposed to a status sent by the server.
fn lost<E: Error + 'static>(error: E) -> Failure {
    // The channel enforces grpc-timeout as well.
    if sources(&error).any(|error| error.is::<TimeoutExpired>()) {
        return Failure::timed_out();
    }
    let connecting = sources(&error).any(|error| error.is::<ConnectError>());
    let what = match connecting {
        true => "cannot connect",
        false => "connection lost",
    };
    Failure::transport(what, &error)
}

/// An intermediary or some other server answered. The code is the one that the gRPC specification assigns to the HTTP
/// status.
fn not_grpc(status: http::StatusCode) -> Failure {
    let code = match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    Failure::new(format!("{} (HTTP {status}, not a gRPC answer)", code_name(code)), "", retry(code, None))
}

/// As the gRPC specification writes them; tonic's Display is a sentence.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
