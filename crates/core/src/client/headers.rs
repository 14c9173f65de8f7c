//! The headers of every request: the client's own, and over them the user's.

use http::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use super::config::ClientConfig;
use super::config_error::{ConfigError, Setting};

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
    headers.insert(USER_AGENT, value(Setting::UserAgent, "user-agent", &config.user_agent)?);
    for (name, text) in &config.headers {
        let header_name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| ConfigError {
            setting: Setting::Headers,
            value: None,
            problem: format!("{name:?} is no name of a header"),
            accepted: "letters, digits and any of !#$%&'*+-.^_`|~",
        })?;
        let mut header_value = value(Setting::Headers, name, text)?;
        // Keeps the value out of Debug output and of HPACK's compression table.
        header_value.set_sensitive(true);
        if !FRAMING.contains(&header_name.as_str()) && !reserved(&header_name) {
            headers.insert(header_name, header_value);
        }
    }
    Ok(headers)
}

fn value(setting: Setting, name: &str, text: &str) -> Result<HeaderValue, ConfigError> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| ConfigError {
        setting,
        value: None,
        problem: format!("the value of {name:?} cannot be sent"),
        accepted: "text without control characters",
    })
}
