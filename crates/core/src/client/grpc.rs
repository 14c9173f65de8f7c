//! OTLP/gRPC: one unary call.
//!
//! The call is framed and its status read here, not by `tonic::client::Grpc`, because that would panic on a malformed
//! `grpc-status-details-bin`, report an oversized answer by the code of a retryable server error, and compress again
//! for every attempt.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::Uri;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TE};
use http_body_util::BodyExt;
use percent_encoding::percent_decode;
use prost::Message;
use tonic::Code;

use super::cause::{self, Cause};
use super::channel::{Channel, Lease};
use super::compression::Compression;
use super::config::ClientConfig;
use super::config_error::{ConfigError, Setting};
use super::deadline::Deadline;
use super::encoding;
use super::endpoint::{Endpoint, Target};
use super::failure::Failure;
use super::grpc_codes::{self, GrpcCodes};
use super::headers::{binary, request_headers};
use super::payload::{Body, Payload};
use super::proxy;
use super::remedy::Clue;
use super::response::{Accepted, Format, MAX_RESPONSE_BYTES};
use super::retry::Retry;
use super::rpc_status::{RetryInfo, RpcStatus};
use super::too_large::is_about_size;

/// `grpc-timeout` is longer by this than the time that is left, so that the server is not the first to give up.
const SERVER_TIMEOUT_MARGIN: Duration = Duration::from_millis(100);

/// Whether the message is compressed (one byte), and its length (four, big-endian).
const PREFIX_BYTES: usize = 5;

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS_DETAILS: &str = "grpc-status-details-bin";
/// A `RetryInfo` by itself, as gRPC's libraries write a message that is named by its type.
const RETRY_INFO: &str = "google.rpc.retryinfo-bin";

pub(super) struct GrpcTransport {
    channel: Channel,
    uri: Uri,
    headers: HeaderMap,
    compression: Compression,
    retryable_codes: Option<GrpcCodes>,
}

impl GrpcTransport {
    pub fn new(config: &ClientConfig, endpoint: &Endpoint) -> Result<GrpcTransport, ConfigError> {
        if config.compression == Compression::Deflate {
            return Err(ConfigError {
                setting: Setting::Compression,
                value: Some(config.compression.to_string()),
                problem: "gRPC has no such compression".to_owned(),
                accepted: "none, gzip, zstd",
            });
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
        Ok(GrpcTransport {
            channel: Channel::new(config, endpoint, proxy::for_endpoint(config, endpoint).as_ref())?,
            uri: call_uri(endpoint, config.signal.grpc_path()),
            headers,
            compression: config.compression,
            retryable_codes: config.retryable_codes,
        })
    }

    /// Keeps no connection from now on.
    pub fn close(&self) {
        self.channel.close();
    }

    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// `request` as a length-prefixed message.
    pub async fn payload(&self, request: Bytes) -> Result<Payload, Failure> {
        let compression = self.compression;
        let (length, slow) = (request.len(), compression != Compression::None);
        let encode = move || {
            let message: Bytes = match compression {
                Compression::None => request.clone(),
                compression => compression.compress(&request).map_err(|_| Failure::no_memory())?.into(),
            };
            let mut prefix = BytesMut::with_capacity(PREFIX_BYTES);
            prefix.put_u8(compression.encoding().is_some().into());
            prefix.put_u32(message.len() as u32);
            Ok(Payload::new(prefix.freeze(), message))
        };
        encoding::run(length, slow, encode).await
    }

    /// One attempt, until `deadline`, which the request carries.
    pub async fn send(&self, payload: &Payload, deadline: &Deadline) -> Result<Accepted, Failure> {
        let lease = self.channel.lease(deadline).await;
        let mut lease = lease.map_err(|failure| self.unavailable(failure))?;
        let mut headers = self.headers.clone();
        headers.insert(GRPC_TIMEOUT, timeout(deadline.left() + SERVER_TIMEOUT_MARGIN));
        let mut request = http::Request::new(payload.body());
        *request.method_mut() = http::Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;

        match deadline.limit(exchange(&mut lease, request)).await {
            Some(Ok(end)) => end.conclude(self.retryable_codes),
            Some(Err(failure)) => {
                self.channel.suspect();
                Err(self.unavailable(failure))
            }
            None => {
                lease.discard();
                self.channel.suspect();
                Err(Failure::timed_out())
            }
        }
    }

    /// A failure of the connection, for which gRPC's code is UNAVAILABLE. An attempt that is made again at once is no
    /// retry in gRPC's sense: the server has not seen the call.
    fn unavailable(&self, failure: Failure) -> Failure {
        match failure.retry {
            Retry::Backoff => Failure { retry: retry(Code::Unavailable, None, self.retryable_codes), ..failure },
            Retry::Never | Retry::AtOnce | Retry::After(_) => failure,
        }
    }
}

/// What came back.
enum End {
    /// The header map that carries `grpc-status`, and the message before it.
    Status(HeaderMap, Bytes),
    NotGrpc(http::StatusCode),
    TooLong,
    NoStatus,
}

/// The call, up to its end; an error is one of the connection.
async fn exchange(lease: &mut Lease, request: http::Request<Body>) -> Result<End, Failure> {
    let (head, mut body) = lease.call(request).await?.into_parts();
    if head.headers.contains_key(GRPC_STATUS) {
        return Ok(End::Status(head.headers, Bytes::new()));
    }
    if head.status != http::StatusCode::OK {
        return Ok(End::NotGrpc(head.status));
    }
    let mut message = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame.map_err(|error| lease.lost(&error))?.into_data() {
            Ok(data) if message.len() + data.len() > PREFIX_BYTES + MAX_RESPONSE_BYTES => {
                // The status would have come after the message: whether the data were accepted is unknown.
                return Ok(End::TooLong);
            }
            Ok(data) => message.extend_from_slice(&data),
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return Ok(End::Status(trailers, message.freeze()));
                }
            }
        }
    }
    Ok(End::NoStatus)
}

impl End {
    fn conclude(self, retryable_codes: Option<GrpcCodes>) -> Result<Accepted, Failure> {
        match self {
            End::Status(status, message) => conclude(status, message, retryable_codes),
            End::NotGrpc(status) => Err(not_grpc(status, retryable_codes)),
            End::TooLong => {
                let what = format!("the answer is longer than {MAX_RESPONSE_BYTES} bytes");
                Err(Failure::new(what, "", Retry::Never).with(Clue::NotGrpc))
            }
            End::NoStatus => Err(no_status()),
        }
    }
}

/// A socket has no name of its own; gRPC says localhost for it.
fn call_uri(endpoint: &Endpoint, path: &'static str) -> Uri {
    let origin = match endpoint {
        Endpoint::Url(Target { url, .. }) => url.origin().ascii_serialization(),
        Endpoint::Unix(_) => "http://localhost".to_owned(),
    };
    // `endpoint::parse` has made sure of it.
    format!("{origin}{path}").parse().expect("an endpoint's origin is a URI")
}

/// At most eight digits, as gRPC demands, in milliseconds.
fn timeout(remaining: Duration) -> HeaderValue {
    let millis = remaining.as_millis().saturating_add(1).min(99_999_999);
    HeaderValue::from_str(&format!("{millis}m")).expect("digits and a letter are a header value")
}

/// The call's end: `status` is the header map that carries `grpc-status`.
pub(super) fn conclude(
    mut status: HeaderMap,
    message: Bytes,
    retryable_codes: Option<GrpcCodes>,
) -> Result<Accepted, Failure> {
    let Some(code) = status.get(GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes())) else {
        return Err(no_status());
    };
    if code == Code::Ok {
        return Ok(Accepted::decode(Format::Protobuf, unframed(message)));
    }
    let details = status.remove(GRPC_STATUS_DETAILS);
    let text = status.get(GRPC_MESSAGE).map(message_text).unwrap_or_default();
    let retry_info = status.remove(RETRY_INFO).and_then(retry_info).or_else(|| details.and_then(retry_info_in_details));
    // tonic's servers refuse a large message as out of range.
    if matches!(code, Code::ResourceExhausted | Code::OutOfRange) && retry_info.is_none() && is_about_size(&text) {
        return Err(Failure::too_large(grpc_codes::name(code), text).of(cause(code)));
    }
    let failure = Failure::new(grpc_codes::name(code), text, retry(code, retry_info, retryable_codes));
    Err(failure.of(cause(code)).with(Clue::Grpc(code)))
}

fn no_status() -> Failure {
    Failure::new("the answer has no grpc-status", "", Retry::Never).with(Clue::NotGrpc)
}

/// The specification wants percent-encoded UTF-8; what is none becomes U+FFFD.
fn message_text(message: &HeaderValue) -> String {
    percent_decode(message.as_bytes()).decode_utf8_lossy().into_owned()
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

fn retry(code: Code, retry_info: Option<RetryInfo>, retryable_codes: Option<GrpcCodes>) -> Retry {
    let retryable =
        retryable_codes.map_or_else(|| is_retryable(code, retry_info.is_some()), |codes| codes.contain(code));
    match retry_info.and_then(|info| info.delay()) {
        _ if !retryable => Retry::Never,
        Some(delay) => Retry::After(delay),
        None => Retry::Backoff,
    }
}

/// Whether the specification says that the code is retryable.
fn is_retryable(code: Code, has_retry_info: bool) -> bool {
    match code {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        // Retryable only if the server says when.
        Code::ResourceExhausted => has_retry_info,
        _ => false,
    }
}

fn retry_info(trailer: HeaderValue) -> Option<RetryInfo> {
    RetryInfo::decode(binary(trailer)?).ok()
}

fn retry_info_in_details(details: HeaderValue) -> Option<RetryInfo> {
    RpcStatus::decode(binary(details)?).ok()?.retry_info()
}

/// An intermediary or some other server answered. The code is the one that the gRPC specification assigns to the HTTP
/// status.
fn not_grpc(status: http::StatusCode, retryable_codes: Option<GrpcCodes>) -> Failure {
    if status == http::StatusCode::PAYLOAD_TOO_LARGE {
        return Failure::too_large(format!("HTTP {status}, not a gRPC answer"), "").of(cause(Code::Unknown));
    }
    let code = match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    let what = format!("{} (HTTP {status}, not a gRPC answer)", grpc_codes::name(code));
    let clue = match status.as_u16() {
        code @ (401 | 403 | 407 | 429 | 500..) => Clue::Http(code),
        _ => Clue::NotGrpc,
    };
    Failure::new(what, "", retry(code, None, retryable_codes)).of(cause(code)).with(clue)
}

fn cause(code: Code) -> Cause {
    Cause::Status(cause::Status::Grpc(grpc_codes::name(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_says_which_codes_are_retryable() {
        for code in (0..=16).map(Code::from_i32) {
            let (plain, with_delay, without_delay) = match code {
                Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unavailable
                | Code::DataLoss => (Retry::Backoff, Retry::After(Duration::from_secs(7)), Retry::Backoff),
                Code::ResourceExhausted => (Retry::Never, Retry::After(Duration::from_secs(7)), Retry::Backoff),
                _ => (Retry::Never, Retry::Never, Retry::Never),
            };
            assert_eq!(retry(code, None, None), plain, "{code:?}");
            assert_eq!(retry(code, Some(RetryInfo::of(7, 0)), None), with_delay, "{code:?}");
            assert_eq!(retry(code, Some(RetryInfo::default()), None), without_delay, "{code:?}");
        }
    }

    #[test]
    fn other_codes_take_the_place_of_the_specifications() {
        let codes = GrpcCodes::new(&[Code::Internal as u32, Code::ResourceExhausted as u32]);
        for code in (0..=16).map(Code::from_i32) {
            let (plain, with_delay) = match code {
                Code::Internal | Code::ResourceExhausted => (Retry::Backoff, Retry::After(Duration::from_secs(7))),
                _ => (Retry::Never, Retry::Never),
            };
            assert_eq!(retry(code, None, codes), plain, "{code:?}");
            assert_eq!(retry(code, Some(RetryInfo::of(7, 0)), codes), with_delay, "{code:?}");
        }
    }
}
