//! OTLP/HTTP, with binary protobuf or JSON: one POST.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ::http::StatusCode;
use ::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use bytes::{Bytes, BytesMut};
use reqwest::redirect;

use super::LONG_REQUEST_BYTES;
use super::cause::{Cause, Status};
use super::compression::Compression;
use super::config::{ClientConfig, Protocol, Signal};
use super::config_error::ConfigError;
use super::deadline::Deadline;
use super::endpoint::Endpoint;
use super::failure::{Failure, root_cause, sources};
use super::headers::request_headers;
use super::resolver::Resolver;
use super::response::{Accepted, Format, MAX_RESPONSE_BYTES};
use super::retry::Retry;
use super::rpc_status::RpcStatus;
use super::tls::{self, Tls};
use super::transcode;
use crate::process::runtime;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

const ALPN: &[u8] = b"http/1.1";

pub(super) struct Transport {
    /// None for plain HTTP.
    tls: Option<Tls>,
    /// With the generation of the TLS settings it was made with.
    client: Mutex<(u64, reqwest::Client)>,
    url: reqwest::Url,
    headers: HeaderMap,
    compression: Compression,
    timeout: Duration,
    signal: Signal,
    format: Format,
}

impl Transport {
    pub fn new(config: &ClientConfig, endpoint: &Endpoint) -> Result<Transport, ConfigError> {
        let Endpoint::Url(url) = endpoint else {
            return Err(tls::unusable("HTTP needs a URL"));
        };
        let (format, content_type) = match config.protocol {
            Protocol::HttpJson => (Format::Json, JSON),
            Protocol::HttpProtobuf | Protocol::Grpc => (Format::Protobuf, PROTOBUF),
        };
        let mut own = HeaderMap::new();
        own.insert(CONTENT_TYPE, content_type);
        if let Some(encoding) = config.compression.encoding() {
            own.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        let headers = request_headers(config, own, |_| false)?;
        let (tls, settings) = match endpoint.is_tls() {
            true => {
                let tls = Tls::new(&config.tls, ALPN)?;
                let settings = (*tls.current().config).clone();
                (Some(tls), settings)
            }
            false => (None, tls::trusting_nobody()?),
        };
        let client = client(settings, config.timeout).map_err(|error| tls::unusable(root_cause(&error)))?;
        Ok(Transport {
            tls,
            client: Mutex::new((0, client)),
            url: url.clone(),
            headers,
            compression: config.compression,
            timeout: config.timeout,
            signal: config.signal,
            format,
        })
    }

    /// Why TLS files that have changed are not in use, if so.
    pub fn tls_problem(&self) -> Option<String> {
        self.tls.as_ref().and_then(Tls::problem)
    }

    /// The client, or a new one if the TLS settings have changed; requests that are under way keep the old one alive.
    fn client(&self) -> reqwest::Client {
        let mut current = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = &self.tls {
            let settings = tls.current();
            if settings.generation != current.0
                && let Ok(client) = client((*settings.config).clone(), self.timeout)
            {
                *current = (settings.generation, client);
            }
        }
        current.1.clone()
    }

    /// The body: `request`, which is protobuf, in the protocol's format and compressed.
    pub async fn payload(&self, request: Bytes) -> Result<Bytes, Failure> {
        let Transport { format, signal, compression, .. } = *self;
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
        let request = self.client().post(self.url.clone()).headers(self.headers.clone()).body(payload.clone()).send();
        let response = deadline.limit(request).await;
        let mut response = response.ok_or_else(Failure::timed_out)?.map_err(lost)?;
        let body = deadline.limit(body(&mut response)).await;
        let body = body.unwrap_or_default();
        conclude(response.status(), response.headers(), body, self.format)
    }
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

fn client(tls: rustls::ClientConfig, timeout: Duration) -> reqwest::Result<reqwest::Client> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        // A redirected POST would carry the user's credentials to wherever a stranger says.
        .redirect(redirect::Policy::none())
        // Retries are OTLP's, not the HTTP client's.
        .retry(reqwest::retry::never())
        // Divided among a name's addresses, so that the first cannot use up the time of the others.
        .connect_timeout(timeout)
        // Its own would panic where no thread can be started, and start one for each request while the names hang.
        .dns_resolver(Resolver)
        .tcp_nodelay(true);
    #[cfg(target_os = "linux")]
    let client = client.tcp_user_timeout(super::dial::unacknowledged(timeout));
    client.build()
}

/// The body, or nothing if it is too long or breaks off: the status counts for more.
async fn body(response: &mut reqwest::Response) -> Bytes {
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_RESPONSE_BYTES => {
                body.extend_from_slice(&chunk);
            }
            Ok(None) => return body.freeze(),
            Ok(Some(_)) | Err(_) => return Bytes::new(),
        }
    }
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

fn lost(error: reqwest::Error) -> Failure {
    // Its peer had closed the connection, most often one that was idle: no byte of an answer came.
    let unanswered = sources(&error).any(|error| match error.downcast_ref::<hyper::Error>() {
        Some(error) => error.is_incomplete_message() || error.is_canceled(),
        None => error.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
        }),
    });
    let (what, retry) = match () {
        () if error.is_connect() => ("cannot connect", Retry::Backoff),
        () if unanswered => ("connection lost", Retry::AtOnce),
        () => ("connection lost", Retry::Backoff),
    };
    let timed_out = error.is_timeout();
    // The URL may hold credentials.
    let error = error.without_url();
    let error: &(dyn Error + 'static) = &error;
    let failure = Failure::transport(what, error, retry);
    if timed_out { failure.of(Cause::Timeout) } else { failure }
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
