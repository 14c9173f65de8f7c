//! The headers of every request: the client's own, and over them the user's.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use tonic::metadata::MetadataMap;

use super::config::{ClientConfig, Protocol};
use super::config_error::{ConfigError, Setting};

const BINARY_SUFFIX: &str = "-bin";

/// Headers that describe the connection or the message's framing. Only the client knows them, and a wrong one would
/// desynchronize the connection; a user's are left out, since one environment variable often serves several exporters.
const FRAMING: [&str; 8] =
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// `own`, the user agent, and over them the user's headers, except those named in `reserved`.
pub(super) fn request_headers(
    config: &ClientConfig,
    own: HeaderMap,
    reserved: fn(&HeaderName) -> bool,
) -> Result<HeaderMap, ConfigError> {
    let mut headers = own;
    headers.insert(USER_AGENT, value(Setting::UserAgent, "user-agent", config.user_agent.as_bytes())?);
    let mut given = HeaderMap::new();
    for (name, bytes) in &config.headers {
        let header_name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| ConfigError {
            setting: Setting::Headers,
            value: None,
            problem: format!("{name:?} is no name of a header"),
            accepted: "letters, digits and any of !#$%&'*+-.^_`|~",
        })?;
        let mut header_value = value(Setting::Headers, name, bytes)?;
        // Keeps the value out of Debug output and of HPACK's compression table.
        header_value.set_sensitive(true);
        if FRAMING.contains(&header_name.as_str()) || reserved(&header_name) {
            continue;
        }
        if config.protocol == Protocol::Grpc {
            given.append(header_name, header_value);
        } else {
            given.insert(header_name, header_value);
        }
    }
    // Takes the place of what has the same name.
    headers.extend(given);
    Ok(headers)
}

/// The texts in which a server may quote the value: as it is sent, and what the base64 of binary metadata says.
pub(super) fn texts(name: &str, value: &[u8]) -> Vec<String> {
    let decoded = name.ends_with(BINARY_SUFFIX).then(|| binary(HeaderValue::from_bytes(value).ok()?)).flatten();
    let decoded = decoded.as_deref();
    [Some(value), decoded].into_iter().flatten().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

/// What the value of gRPC's binary metadata says.
pub(super) fn binary(value: HeaderValue) -> Option<Bytes> {
    let name = HeaderName::from_static("any-bin");
    let metadata = MetadataMap::from_headers(HeaderMap::from_iter([(name, value)]));
    metadata.get_bin("any-bin")?.to_bytes().ok()
}

fn value(setting: Setting, name: &str, bytes: &[u8]) -> Result<HeaderValue, ConfigError> {
    HeaderValue::from_bytes(bytes).map_err(|_| ConfigError {
        setting,
        value: None,
        problem: format!("the value of {name:?} cannot be sent"),
        accepted: "text without control characters",
    })
}
