//! OTLP/HTTP, with binary protobuf or JSON: one POST.

use std::time::{Duration, SystemTime};

use ::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION,
    RETRY_AFTER,
};
use ::http::{Method, Request, StatusCode, Uri};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use url::{Position, Url};

use super::cause::{Cause, Status};
use super::channel::{Channel, Version};
use super::compression::{Compression, LONG_REQUEST_BYTES};
use super::config::{ClientConfig, Protocol, Signal};
use super::config_error::{ConfigError, Setting};
use super::deadline::Deadline;
use super::dial::Dialer;
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::headers::request_headers;
use super::response::{Accepted, Format, MAX_RESPONSE_BYTES};
use super::retry::Retry;
use super::rpc_status::RpcStatus;
use super::secrets::basic_authentication;
use super::tls;
use super::transcode;
use crate::process::runtime;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) struct HttpTransport {
    channel: Channel,
    /// As the request line has it: the path alone, or all of it for a proxy.
    uri: Uri,
    headers: HeaderMap,
    compression: Compression,
    signal: Signal,
    format: Format,
}

impl HttpTransport {
    pub fn new(config: &ClientConfig, endpoint: &Endpoint) -> Result<HttpTransport, ConfigError> {
        let Endpoint::Url(url) = endpoint else {
            return Err(tls::unusable("HTTP needs a URL"));
        };
        let (format, content_type) = match config.protocol {
            Protocol::HttpJson => (Format::Json, JSON),
            Protocol::HttpProtobuf | Protocol::Grpc => (Format::Protobuf, PROTOBUF),
        };
        let dialer = Dialer::new(config, endpoint)?;
        let mut own = HeaderMap::new();
        own.insert(ACCEPT, HeaderValue::from_static("*/*"));
        own.insert(CONTENT_TYPE, content_type);
        own.insert(HOST, host(url)?);
        if let Some(encoding) = config.compression.encoding() {
            own.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        if let Some(credentials) = basic_authentication(url.as_str()) {
            own.insert(AUTHORIZATION, secret(&credentials)?);
        }
        let proxy = dialer.forwarding_proxy();
        if let Some(credentials) = proxy.and_then(|proxy| proxy.basic_auth()) {
            let mut credentials = credentials.clone();
            credentials.set_sensitive(true);
            own.insert(PROXY_AUTHORIZATION, credentials);
        }
        let uri = uri(url, proxy.is_some());
        Ok(HttpTransport {
            uri,
            headers: request_headers(config, own, |_| false)?,
            channel: Channel::new(Version::Http1, dialer),
            compression: config.compression,
            signal: config.signal,
            format,
        })
    }

    /// Why TLS files that have changed are not in use, if so.
    pub fn tls_problem(&self) -> Option<String> {
        self.channel.dialer().tls_problem()
    }

    /// The body: `request`, which is protobuf, in the protocol's format and compressed.
    pub async fn payload(&self, request: Bytes) -> Result<Bytes, Failure> {
        let HttpTransport { format, signal, compression, .. } = *self;
        let takes_long = (format, compression) != (Format::Protobuf, Compression::None);
        let takes_long = takes_long && request.len() >= LONG_REQUEST_BYTES;
        let encode = move || {
            let request = match format {
                Format::Protobuf => request.clone(),
                Format::Json => transcode::to_json(signal, request.clone())?,
            };
            Ok(match compression {
                Compression::None => request,
                compression => compression.append(&request, Vec::new()).into(),
            })
        };
        if takes_long { runtime::apart(encode).await } else { encode() }
    }

    /// One attempt, until `deadline`. A slow body does not hide a status already known.
    pub async fn send(&self, payload: &Bytes, deadline: &Deadline) -> Result<Accepted, Failure> {
        let mut lease = self.channel.lease(deadline).await?;
        let mut request = Request::new(Full::new(payload.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let response = deadline.limit(lease.call(request)).await;
        let (head, body) = response.unwrap_or_else(|| Err(Failure::timed_out()))?.into_parts();
        let body = deadline.limit(read(body)).await.flatten();
        if body.is_some() {
            lease.give_back();
        }
        conclude(head.status, &head.headers, body.unwrap_or_default(), self.format)
    }
}

/// The URL's host, with its port if that is not the scheme's own.
fn host(url: &Url) -> Result<HeaderValue, ConfigError> {
    let host = &url[Position::BeforeHost..Position::AfterPort];
    HeaderValue::from_str(host).map_err(|_| tls::unusable(format!("{host:?} is no name of a server")))
}

fn secret(text: &str) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| ConfigError {
        setting: Setting::Endpoint,
        value: None,
        problem: "its user info cannot be sent".to_owned(),
        accepted: "text without control characters",
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A fragment is not sent, and neither is user info.
fn uri(url: &Url, is_absolute: bool) -> Uri {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let uri = match is_absolute {
        true => format!("{}://{}{path}", url.scheme(), &url[Position::BeforeHost..Position::AfterPort]),
        false => path.to_owned(),
    };
    // `endpoint::parse` has made sure of it.
    uri.parse().expect("parts of an endpoint are a URI")
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
    Err(Failure::new(what, explanation, retry(status, headers)).of(cause))
}

/// The body; none if it is too long or breaks off.
async fn read(mut body: Incoming) -> Option<Bytes> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            if read.len() + data.len() > MAX_RESPONSE_BYTES {
                return None;
            }
            read.extend_from_slice(&data);
        }
    }
    Some(read.freeze())
}

/// The specification wants a `google.rpc.Status`; proxies and many servers send text.
fn explanation(format: Option<Format>, body: Bytes) -> String {
    let status = format.and_then(|format| RpcStatus::decode_as(format, &body));
    status.map_or_else(|| String::from_utf8_lossy(&body).into_owned(), |status| status.message)
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
