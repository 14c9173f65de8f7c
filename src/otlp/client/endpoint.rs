//! Where to send, and how to say so without giving a secret away.

use reqwest::Url;

use super::config::{ClientConfig, ConfigError, Protocol};

const ACCEPTED_GRPC: &str = "a URL such as http://localhost:4317 (plaintext) or https://localhost:4317 (TLS)";
const ACCEPTED_HTTP: &str = "the signal's full URL, such as http://localhost:4318/v1/traces";

/// A URL that both HTTP stacks take: scheme http or https, with a host.
pub(super) struct Endpoint {
    pub url: Url,
}

impl Endpoint {
    /// Scheme, host, port and path. User info is left out, and so is the query: both are places for credentials.
    pub fn shown(&self) -> String {
        let mut origin = self.url.origin().ascii_serialization();
        if self.url.path() != "/" {
            origin.push_str(self.url.path());
        }
        origin
    }

    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }
}

pub(super) fn parse(config: &ClientConfig) -> Result<Endpoint, ConfigError> {
    let accepted = match config.protocol {
        Protocol::Grpc => ACCEPTED_GRPC,
        Protocol::HttpProtobuf => ACCEPTED_HTTP,
    };
    let invalid =
        |problem: String| ConfigError::Endpoint { endpoint: without_secrets(&config.endpoint), problem, accepted };
    let url = Url::parse(&config.endpoint).map_err(|error| invalid(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("the scheme must be http or https".to_owned()));
    }
    // A URL may hold what a request line may not; better to learn of it now than at the first export.
    if let Err(error) = ::http::Uri::try_from(url.as_str()) {
        return Err(invalid(error.to_string()));
    }
    // HTTP sends user info as basic authentication. gRPC has no such custom, and to drop credentials in silence would
    // be the worst answer.
    let has_user_info = !url.username().is_empty() || url.password().is_some();
    if config.protocol == Protocol::Grpc && has_user_info {
        return Err(invalid("user info is not supported with gRPC, set an authorization header".to_owned()));
    }
    Ok(Endpoint { url })
}

/// `endpoint` without user info, query and fragment, even when it is no URL at all.
pub(super) fn without_secrets(endpoint: &str) -> String {
    let (scheme, rest) = match endpoint.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), endpoint),
    };
    // In text that does not parse, an @ may end user info that contains any other delimiter: cut at the last one first.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}{rest}")
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn secrets_are_cut_from_what_is_shown() {
        for (endpoint, shown) in [
            ("http://host:4318/v1/traces", "http://host:4318/v1/traces"),
            ("http://user:secret@host/v1", "http://host/v1"),
            ("http://us er:sec/r?t@host/v1", "http://host/v1"),
            ("http://host/v1?api-key=secret#secret", "http://host/v1"),
            ("user:secret@host", "host"),
            ("host:4317", "host:4317"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(endpoint), shown);
        }
    }
}
