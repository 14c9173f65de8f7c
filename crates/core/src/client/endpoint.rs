//! Where to send, and how to show that without a secret.

use std::fmt::Write;
use std::path::PathBuf;

use url::Url;

use super::config::{ClientConfig, Protocol};
use super::config_error::{ConfigError, Setting};
use super::secrets::without_secrets;

const ACCEPTED_GRPC: &str = "a URL such as http://localhost:4317 (plaintext) or https://localhost:4317 (TLS), \
     a name such as dns:localhost:4317, or a socket such as unix:/path";
const ACCEPTED_HTTP: &str = "the signal's full URL, such as http://localhost:4318/v1/traces";

pub(super) enum Endpoint {
    Url(Target),
    Unix(UnixSocket),
}

/// Servers that are reached by name or address.
pub(super) struct Target {
    /// Scheme http or https, with a host: the first of `hosts`, without its zone.
    pub url: Url,
    /// Where to connect to.
    pub hosts: Vec<Host>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// An IPv6 address has no brackets, and may have a zone, as `fe80::1%eth0`.
    pub name: String,
    pub port: u16,
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
            Endpoint::Url(Target { url, hosts }) => {
                let mut shown = url.origin().ascii_serialization();
                for Host { name, port } in &hosts[1..] {
                    let _ = match name.contains(':') {
                        true => write!(shown, ",[{name}]:{port}"),
                        false => write!(shown, ",{name}:{port}"),
                    };
                }
                if url.path() != "/" {
                    shown.push_str(url.path());
                }
                shown
            }
            Endpoint::Unix(UnixSocket::Path(path)) => format!("unix:{}", path.display()),
            Endpoint::Unix(UnixSocket::Abstract(name)) => format!("unix-abstract:{name}"),
        }
    }

    pub fn is_tls(&self) -> bool {
        matches!(self, Endpoint::Url(target) if target.url.scheme() == "https")
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
    let Target { url, hosts } = target(&config.endpoint, config.protocol == Protocol::Grpc).map_err(invalid)?;
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
    Ok(Endpoint::Url(Target { url, hosts }))
}

/// `lists`: whether the URL may name several servers, with commas between them.
fn target(endpoint: &str, lists: bool) -> Result<Target, String> {
    let Some((scheme, rest)) = endpoint.split_once("://") else {
        let url = parse_url(endpoint)?;
        return Ok(Target { hosts: vec![Host::of(&url, None)], url });
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let servers = if lists { authority.split(',').collect() } else { vec![authority] };
    let mut urls = Vec::new();
    let mut hosts = Vec::new();
    for server in servers {
        let (server, zone) = without_zone(server);
        let url = parse_url(&format!("{scheme}://{server}{path}"))?;
        hosts.push(Host::of(&url, zone));
        urls.push(url);
    }
    Ok(Target { url: urls.swap_remove(0), hosts })
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => "it begins with no scheme: http:// or https://".to_owned(),
        error => error.to_string(),
    })?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        "dns" => Err("a name server to ask cannot be chosen, only the system's: dns:///host:port".to_owned()),
        _ => Err("the scheme must be http or https".to_owned()),
    }
}

/// An authority without the zone of its IPv6 address, and the zone, which may be behind `%` or, as in a URL, `%25`.
fn without_zone(authority: &str) -> (String, Option<&str>) {
    let parts = authority.rfind('[').and_then(|start| {
        let end = start + authority[start..].find(']')?;
        let (address, zone) = authority[start..end].split_once('%')?;
        let zone = zone.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(zone);
        Some((format!("{}{address}{}", &authority[..start], &authority[end..]), zone))
    });
    parts.map_or_else(|| (authority.to_owned(), None), |(without, zone)| (without, Some(zone)))
}

impl Host {
    /// Other addresses than those of a link mean the same with a zone and without it.
    fn of(url: &Url, zone: Option<&str>) -> Host {
        // Both schemes have default ports.
        let port = url.port_or_known_default().unwrap_or(443);
        let name = match (url.host(), zone) {
            (Some(url::Host::Ipv6(address)), Some(zone)) if address.is_unicast_link_local() => {
                format!("{address}%{zone}")
            }
            (Some(url::Host::Ipv6(address)), _) => address.to_string(),
            _ => url.host_str().unwrap_or_default().to_owned(),
        };
        Host { name, port }
    }
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

    #[test]
    fn a_url_may_name_several_servers_and_zones() {
        for (endpoint, url, hosts) in [
            ("http://a:1", "http://a:1/", vec![("a", 1)]),
            ("http:a:1", "http://a:1/", vec![("a", 1)]),
            ("https://a", "https://a/", vec![("a", 443)]),
            ("http://127.0.0.1:1,[::1]:2,b:3", "http://127.0.0.1:1/", vec![("127.0.0.1", 1), ("::1", 2), ("b", 3)]),
            ("http://[fe80::1%eth0]:1", "http://[fe80::1]:1/", vec![("fe80::1%eth0", 1)]),
            ("http://[fe80::1%25eth0]:1/v1", "http://[fe80::1]:1/v1", vec![("fe80::1%eth0", 1)]),
            ("http://user:pass@[fe80::1%252]:1", "http://user:pass@[fe80::1]:1/", vec![("fe80::1%2", 1)]),
            ("http://[fe80::1%25]:1", "http://[fe80::1]:1/", vec![("fe80::1%25", 1)]),
            ("http://[::1%25lo]:1", "http://[::1]:1/", vec![("::1", 1)]),
        ] {
            let target = target(endpoint, true).unwrap();
            assert_eq!(target.url.as_str(), url, "{endpoint}");
            let found: Vec<_> = target.hosts.iter().map(|host| (host.name.as_str(), host.port)).collect();
            assert_eq!(found, hosts, "{endpoint}");
        }
        let shown = |endpoint| Endpoint::Url(target(endpoint, true).unwrap()).shown();
        assert_eq!(shown("http://127.0.0.1:1,[::1]:2,b:3/path"), "http://127.0.0.1:1,[::1]:2,b:3/path");
        for endpoint in ["http://a:1,", "http://a:1,b:99999", "http://", "http://[fe80::1%eth0", "dns://8.8.8.8/a:1"] {
            assert!(target(endpoint, true).is_err(), "{endpoint}");
        }
        assert!(target("http://a:1,b:2", false).is_err());
    }

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
