//! OTLP/HTTP with binary protobuf: one POST.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::http::StatusCode;
use ::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use bytes::{Bytes, BytesMut};
use prost::Message;
use reqwest::redirect;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::time::Instant;

use super::compression::Compression;
use super::config::{ClientConfig, ConfigError};
use super::endpoint::Endpoint;
use super::failure::{Failure, sources};
use super::headers::request_headers;
use super::response::{Accepted, MAX_RESPONSE_BYTES};
use super::retry::Retry;
use super::rpc_status::RpcStatus;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

pub(super) struct Transport {
    client: reqwest::Client,
    url: reqwest::Url,
    headers: HeaderMap,
    compression: Compression,
}

impl Transport {
    pub fn new(config: &ClientConfig, endpoint: &Endpoint) -> Result<Transport, ConfigError> {
        let mut own = HeaderMap::new();
        own.insert(CONTENT_TYPE, PROTOBUF);
        if let Some(encoding) = config.compression.encoding() {
            own.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        let headers = request_headers(config, own, |_| false)?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(endpoint)?)
            // A redirected POST would carry the user's credentials to wherever a stranger says.
            .redirect(redirect::Policy::none())
            // Retries are OTLP's, not the HTTP client's.
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            .build()
            .map_err(|error| ConfigError::Tls { problem: sources(&error).last().unwrap_or(&error).to_string() })?;
        Ok(Transport { client, url: endpoint.url.clone(), headers, compression: config.compression })
    }

    pub fn payload(&self, request: Bytes) -> Bytes {
        match self.compression {
            Compression::None => request,
            compression => compression.append(&request, Vec::new()).into(),
        }
    }

    /// One attempt. The caller enforces `deadline`; here it only keeps a slow body from hiding a status already known.
    pub async fn send(&self, payload: &Bytes, deadline: Instant) -> Result<Accepted, Failure> {
        let mut response = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .body(payload.clone())
            .send()
            .await
            .map_err(lost)?;
        let body = tokio::time::timeout_at(deadline, body(&mut response)).await;
        let body = body.unwrap_or_default();
        let status = response.status();
        if status.is_success() {
            return Ok(Accepted::decode(body));
        }
        let what = match status.is_redirection() {
            true => format!("HTTP {status} (redirects are not followed)"),
            false => format!("HTTP {status}"),
        };
        let headers = response.headers();
        Err(Failure::new(what, explanation(headers, body), retry(status, headers)))
    }
}

/// For plain HTTP there is nothing to verify, so the system's certificates are not read, nor need there be any. (A proxy
/// that itself is reached over TLS is therefore not trusted for plain HTTP.)
fn tls(endpoint: &Endpoint) -> Result<rustls::ClientConfig, ConfigError> {
    let invalid = |error: rustls::Error| ConfigError::Tls { problem: error.to_string() };
    let provider = Arc::new(ring::default_provider());
    let builder =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(invalid)?;
    let builder = match endpoint.is_tls() {
        true => builder.with_platform_verifier().map_err(invalid)?,
        false => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut tls = builder.with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
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
fn explanation(headers: &HeaderMap, body: Bytes) -> String {
    if headers.get(CONTENT_TYPE) == Some(&PROTOBUF) {
        return RpcStatus::decode(body).unwrap_or_default().message;
    }
    String::from_utf8_lossy(&body).into_owned()
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
    let what = match error.is_connect() {
        true => "cannot connect",
        false => "connection lost",
    };
    // The URL may hold credentials.
    Failure::transport(what, &error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

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
