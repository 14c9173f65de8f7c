//! Where to send, and how to show that without a secret.

use std::path::PathBuf;

use url::Url;

use super::config::{ClientConfig, Protocol};
use super::config_error::{ConfigError, Setting};
use super::secrets::without_secrets;

const ACCEPTED_GRPC: &str =
    "a URL such as http://localhost:4317 (plaintext) or https://localhost:4317 (TLS), or a socket such as unix:/path";
const ACCEPTED_HTTP: &str = "the signal's full URL, such as http://localhost:4318/v1/traces";

pub(super) enum Endpoint {
    /// Scheme http or https, with a host.
    Url(Url),
    Unix(UnixSocket),
}

/// Its file, or its name in Linux's abstract namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UnixSocket {
    Path(PathBuf),
    Abstract(String),
}

impl Endpoint {
    /// Scheme, host, port and path. User info is left out, and so is the query: both are places for credentials.
    pub fn shown(&self) -> String {
        match self {
            Endpoint::Url(url) => {
                let mut origin = url.origin().ascii_serialization();
                if url.path() != "/" {
                    origin.push_str(url.path());
                }
                origin
            }
            Endpoint::Unix(UnixSocket::Path(path)) => format!("unix:{}", path.display()),
            Endpoint::Unix(UnixSocket::Abstract(name)) => format!("unix-abstract:{name}"),
        }
    }

    pub fn is_tls(&self) -> bool {
        matches!(self, Endpoint::Url(url) if url.scheme() == "https")
    }
}

pub(super) fn parse(config: &ClientConfig) -> Result<Endpoint, ConfigError> {
    let accepted = match config.protocol {
        Protocol::Grpc => ACCEPTED_GRPC,
        Protocol::HttpProtobuf | Protocol::HttpJson => ACCEPTED_HTTP,
    };
    let invalid = |problem: String| ConfigError {
        setting: Setting::Endpoint,
        value: Some(without_secrets(&config.endpoint)),
        problem,
        accepted,
    };
    if config.protocol == Protocol::Grpc
        && let Some(socket) = unix_socket(&config.endpoint)
    {
        return socket.map(Endpoint::Unix).map_err(|problem| invalid(problem.to_owned()));
    }
    let url = Url::parse(&config.endpoint).map_err(|error| invalid(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("the scheme must be http or https".to_owned()));
    }
    // A URL may hold what a request line must not: report it now, not at the first export.
    if let Err(error) = ::http::Uri::try_from(url.as_str()) {
        return Err(invalid(error.to_string()));
    }
    // HTTP sends user info as basic authentication. gRPC has no such custom, and dropping credentials silently would
    // be worse than an error.
    let has_user_info = !url.username().is_empty() || url.password().is_some();
    if config.protocol == Protocol::Grpc && has_user_info {
        return Err(invalid("user info is not supported with gRPC, set an authorization header".to_owned()));
    }
    Ok(Endpoint::Url(url))
}

/// The socket that `endpoint` names in gRPC's way, if it does so.
fn unix_socket(endpoint: &str) -> Option<Result<UnixSocket, &'static str>> {
    if let Some(name) = endpoint.strip_prefix("unix-abstract:") {
        return Some(match name {
            _ if !cfg!(target_os = "linux") => Err("abstract sockets are Linux's alone"),
            "" => Err("the socket's name is missing"),
            name => Ok(UnixSocket::Abstract(name.to_owned())),
        });
    }
    let path = endpoint.strip_prefix("unix:")?;
    // With slashes that would begin an authority the path must be absolute: unix://authority/path means nothing.
    let path = match path.strip_prefix("//") {
        Some(path) if !path.starts_with('/') => return Some(Err("after unix:// the path must be absolute")),
        Some(path) => path,
        None => path,
    };
    Some(match path {
        _ if !cfg!(unix) => Err("unix sockets are not supported on this platform"),
        "" | "/" => Err("the socket's path is missing"),
        path => Ok(UnixSocket::Path(PathBuf::from(path))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn sockets_are_named_in_grpcs_ways() {
        let path = |path: &str| Some(Ok(UnixSocket::Path(path.into())));
        assert_eq!(unix_socket("unix:/run/otel.sock"), path("/run/otel.sock"));
        assert_eq!(unix_socket("unix:///run/otel.sock"), path("/run/otel.sock"));
        assert_eq!(unix_socket("unix:otel.sock"), path("otel.sock"));
        assert!(matches!(unix_socket("unix://otel.sock"), Some(Err(_))));
        assert!(matches!(unix_socket("unix:"), Some(Err(_))));
        assert!(matches!(unix_socket("unix:///"), Some(Err(_))));
        assert_eq!(unix_socket("http://host:4317"), None);
    }
}
