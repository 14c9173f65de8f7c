//! OTLP/HTTP, with binary protobuf or JSON: one POST.

use std::time::{Duration, SystemTime};

use ::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue,
    PROXY_AUTHORIZATION, RETRY_AFTER,
};
use ::http::{Method, Request, StatusCode, Uri};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use url::{Position, Url};

use super::cause::{Cause, Status};
use super::channel::Channel;
use super::compression::Compression;
use super::config::{ClientConfig, Protocol, Signal};
use super::config_error::ConfigError;
use super::deadline::Deadline;
use super::encoding;
use super::endpoint::{Endpoint, Target};
use super::failure::Failure;
use super::greeting::{Speech, wants_tls};
use super::headers::request_headers;
use super::payload::{Body, Payload};
use super::proxy::{self, ProxyTask};
use super::remedy::Clue;
use super::response::{Accepted, Format, MAX_RESPONSE_BYTES};
use super::retry::Retry;
use super::rpc_status::RpcStatus;
use super::secrets::basic_authentication;
use super::tls;
use super::transcode;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) struct HttpTransport {
    channel: Channel,
    uri: Uri,
    headers: HeaderMap,
    compression: Compression,
    signal: Signal,
    format: Format,
}

impl HttpTransport {
    pub fn new(config: &ClientConfig, endpoint: &Endpoint) -> Result<HttpTransport, ConfigError> {
        let Endpoint::Url(Target { url, .. }) = endpoint else {
            return Err(tls::unusable("HTTP needs a URL"));
        };
        let (format, content_type) = match config.protocol {
            Protocol::HttpJson => (Format::Json, JSON),
            Protocol::HttpProtobuf | Protocol::Grpc => (Format::Protobuf, PROTOBUF),
        };
        let proxy = proxy::for_endpoint(config, endpoint);
        let forwarding = proxy.as_ref().filter(|proxy| proxy.task == ProxyTask::Forward);
        let mut own = HeaderMap::new();
        own.insert(ACCEPT, HeaderValue::from_static("*/*"));
        own.insert(CONTENT_TYPE, content_type);
        if let Some(encoding) = config.compression.encoding() {
            own.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        own.insert(HOST, host(url));
        if let Some(credentials) = basic_authentication(url.as_str()) {
            own.insert(AUTHORIZATION, credentials);
        }
        if let Some(credentials) = forwarding.and_then(|proxy| proxy.server.as_ref().ok()?.credentials.as_ref()) {
            own.insert(PROXY_AUTHORIZATION, credentials.clone());
        }
        Ok(HttpTransport {
            channel: Channel::new(config, endpoint, proxy.as_ref())?,
            uri: request_uri(url, forwarding.is_some()),
            headers: request_headers(config, own, |_| false)?,
            compression: config.compression,
            signal: config.signal,
            format,
        })
    }

    /// Keeps no connection from now on.
    pub fn close(&self) {
        self.channel.close();
    }

    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// The body: `request`, which is protobuf, in the protocol's format and compressed.
    pub async fn payload(&self, request: Bytes) -> Result<Payload, Failure> {
        let HttpTransport { format, signal, compression, .. } = *self;
        let (length, slow) = (request.len(), (format, compression) != (Format::Protobuf, Compression::None));
        let encode = move || {
            let request = match format {
                Format::Protobuf => request.clone(),
                Format::Json => transcode::to_json(signal, request.clone())?,
            };
            let message = match compression {
                Compression::None => request,
                compression => compression.compress(&request).map_err(|_| Failure::no_memory())?.into(),
            };
            Ok(Payload::new(Bytes::new(), message))
        };
        encoding::run(length, slow, encode).await
    }

    /// One attempt, until `deadline`. A slow body does not hide a status already known. Redirects are not followed: the
    /// user's credentials would go to wherever a stranger says.
    pub async fn send(&self, payload: &Payload, deadline: &Deadline) -> Result<Accepted, Failure> {
        let mut lease = self.channel.lease(deadline).await?;
        let Some(answer) = deadline.limit(lease.call(self.request(payload))).await else {
            lease.discard();
            self.channel.suspect();
            return Err(Failure::timed_out());
        };
        let (head, body) = answer.inspect_err(|_| self.channel.suspect())?.into_parts();
        let body = deadline.limit(read(body)).await.flatten();
        if body.is_some() {
            lease.keep();
        }
        conclude(head.status, &head.headers, body.unwrap_or_default(), self.format)
    }

    fn request(&self, payload: &Payload) -> Request<Body> {
        let mut request = Request::new(payload.body());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(CONTENT_LENGTH, payload.len().into());
        request
    }
}

/// The server's name in the `host` header, with its port unless that is the scheme's own.
fn host(url: &Url) -> HeaderValue {
    let name = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
    // `endpoint::parse` has made sure of it.
    HeaderValue::try_from(host).expect("the authority of a URI is a header value")
}

/// Path and query, and before them the origin for a proxy that forwards requests. User info is in a header.
fn request_uri(url: &Url, forwarded: bool) -> Uri {
    let origin = if forwarded { url.origin().ascii_serialization() } else { String::new() };
    // `endpoint::parse` has made sure of it.
    format!("{origin}{}", &url[Position::BeforePath..Position::AfterQuery]).parse().expect("a part of a URI is a URI")
}

/// What an answer means; its body is in `format` unless it says otherwise.
pub(super) fn conclude(
    status: StatusCode,
    headers: &HeaderMap,
    body: Bytes,
    format: Format,
) -> Result<Accepted, Failure> {
    let declared = Format::of(headers.get(CONTENT_TYPE));
    if status.is_success() {
        return Ok(Accepted::decode(declared.unwrap_or(format), body));
    }
    let explanation = explanation(declared, body);
    let cause = Cause::Status(Status::Http(status.as_u16()));
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Err(Failure::too_large(format!("HTTP {status}"), explanation).of(cause));
    }
    let what = match status.is_redirection() {
        true => format!("HTTP {status} (redirects are not followed)"),
        false => format!("HTTP {status}"),
    };
    let clue = match status == StatusCode::BAD_REQUEST && wants_tls(explanation.as_bytes()) {
        true => Clue::Speaks(Speech::Tls),
        false => Clue::Http(status.as_u16()),
    };
    Err(Failure::new(what, explanation, retry(status, headers)).of(cause).with(clue))
}

/// The body; None if it is too long or breaks off: the status counts for more.
async fn read(mut body: Incoming) -> Option<Bytes> {
    let mut content = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            if content.len() + data.len() > MAX_RESPONSE_BYTES {
                return None;
            }
            content.extend_from_slice(&data);
        }
    }
    Some(content.freeze())
}

/// The specification wants a `google.rpc.Status`; proxies and many servers send text.
fn explanation(format: Option<Format>, body: Bytes) -> String {
    let status = format.and_then(|format| RpcStatus::decode_as(format, &body));
    status.map_or_else(|| String::from_utf8_lossy(&body).into_owned(), |status| status.message())
}

fn retry(status: StatusCode, headers: &HeaderMap) -> Retry {
    match status.as_u16() {
        429 | 502 | 503 | 504 => headers
            .get(RETRY_AFTER)
            .and_then(|value| retry_after(value.to_str().ok()?.trim(), SystemTime::now()))
            .map_or(Retry::Backoff, Retry::After),
        _ => Retry::Never,
    }
}

/// RFC 9110, 10.2.3: seconds or a date. A date in the past means at once.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_statuses_are_retryable_with_or_without_retry_after() {
        let with = |value: &'static str| HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
        let retryable = [429, 502, 503, 504];
        for status in 100..1000 {
            let status = StatusCode::from_u16(status).unwrap();
            let (plain, seconds, nonsense) = match retryable.contains(&status.as_u16()) {
                true => (Retry::Backoff, Retry::After(Duration::from_secs(7)), Retry::Backoff),
                false => (Retry::Never, Retry::Never, Retry::Never),
            };
            assert_eq!(retry(status, &HeaderMap::new()), plain, "{status}");
            assert_eq!(retry(status, &with("7")), seconds, "{status}");
            assert_eq!(retry(status, &with("tomorrow")), nonsense, "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Fri, 31 Dec 1999 23:59:59 GMT").unwrap();
        for (value, delay) in [
            ("0", Some(Duration::ZERO)),
            ("120", Some(Duration::from_secs(120))),
            ("Sat, 01 Jan 2000 00:00:09 GMT", Some(Duration::from_secs(10))),
            ("Fri, 31 Dec 1999 23:00:00 GMT", Some(Duration::ZERO)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(value, now), delay, "{value:?}");
        }
    }
}
