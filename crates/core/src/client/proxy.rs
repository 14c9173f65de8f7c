//! The proxy that the environment names.

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use url::Url;

use super::config::{ClientConfig, Protocol};
use super::endpoint::Endpoint;
use super::secrets::credentials_in;

/// gRPC: the first that is set counts, even if it is empty, which means no proxy. gRPC's own variable comes first;
/// HTTP's follow, for plaintext targets too, since the proxy's tunnel carries either.
const PROXY: [&str; 5] = ["grpc_proxy", "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"];
const NO_PROXY: [&str; 3] = ["no_grpc_proxy", "no_proxy", "NO_PROXY"];

/// An environment variable's value.
pub(super) type Environment = dyn Fn(&str) -> Option<String>;

pub(super) fn environment(name: &str) -> Option<String> {
    // In a CGI process HTTP_PROXY is what the client sent as a `Proxy` header.
    if name == "HTTP_PROXY" && std::env::var_os("REQUEST_METHOD").is_some() {
        return None;
    }
    std::env::var(name).ok()
}

pub(super) struct Proxy {
    /// Its address and its credentials.
    pub intercept: Intercept,
    pub task: ProxyTask,
}

/// What a proxy does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyTask {
    /// It passes bytes on, to the target that a CONNECT request names.
    Tunnel,
    /// It reads requests, which name the target in their URL, and passes them on.
    Forward,
}

/// The proxy to `endpoint`. A socket has none.
pub(super) fn for_endpoint(config: &ClientConfig, endpoint: &Endpoint) -> Option<Proxy> {
    let Endpoint::Url(url) = endpoint else { return None };
    let (intercept, task) = match config.protocol {
        Protocol::Grpc => (for_grpc(url, &environment)?, ProxyTask::Tunnel),
        Protocol::HttpProtobuf | Protocol::HttpJson if endpoint.is_tls() => (for_http(url)?, ProxyTask::Tunnel),
        Protocol::HttpProtobuf | Protocol::HttpJson => (for_http(url)?, ProxyTask::Forward),
    };
    Some(Proxy { intercept, task })
}

/// The proxy for HTTP requests to `target`, by `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` in upper or lower
/// case, as curl reads them, and by the system's settings on macOS and Windows.
fn for_http(target: &Url) -> Option<Intercept> {
    Matcher::from_system().intercept(&http::Uri::try_from(target.as_str()).ok()?)
}

/// The proxy for gRPC calls to `target`. As in gRPC's C core, one that is not itself reached by plain HTTP is ignored.
fn for_grpc(target: &Url, environment: &Environment) -> Option<Intercept> {
    let first = |names: &[&str]| names.iter().find_map(|name| environment(name)).unwrap_or_default();
    let matcher = Matcher::builder().all(first(&PROXY)).no(first(&NO_PROXY)).build();
    let target = http::Uri::try_from(target.as_str()).ok()?;
    let proxy = matcher.intercept(&target)?;
    (proxy.uri().scheme() == Some(&http::uri::Scheme::HTTP)).then_some(proxy)
}

/// The proxies' credentials, which must not appear in the log.
pub(super) fn secrets(environment: &Environment) -> Vec<String> {
    let proxies = PROXY.into_iter().chain(["all_proxy", "ALL_PROXY"]);
    proxies.filter_map(environment).flat_map(|address| credentials_in(&address)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(target: &str, variables: &'static [(&str, &str)]) -> Option<String> {
        let environment = move |name: &str| Some(variables.iter().find(|(known, _)| *known == name)?.1.to_owned());
        Some(for_grpc(&Url::parse(target).unwrap(), &environment)?.uri().to_string())
    }

    #[test]
    fn grpcs_own_variable_comes_first() {
        let all = &[("http_proxy", "http://c:1"), ("https_proxy", "http://b:1"), ("grpc_proxy", "http://a:1")];
        for target in ["http://collector:4317", "https://collector:4317"] {
            assert_eq!(proxy(target, all).as_deref(), Some("http://a:1/"));
            assert_eq!(proxy(target, &all[..2]).as_deref(), Some("http://b:1/"));
            assert_eq!(proxy(target, &all[..1]).as_deref(), Some("http://c:1/"));
            assert_eq!(proxy(target, &[]), None);
        }
        assert_eq!(proxy("http://collector:4317", &[("HTTPS_PROXY", "b:1")]).as_deref(), Some("http://b:1/"));
        assert_eq!(proxy("http://collector:4317", &[("grpc_proxy", ""), ("https_proxy", "http://b:1")]), None);
    }

    #[test]
    fn exceptions_are_names_their_subdomains_addresses_and_networks() {
        let variables = &[("https_proxy", "http://b:1"), ("no_proxy", "example.com, 10.0.0.0/8,::1")];
        for (target, proxied) in [
            ("https://collector:4317", true),
            ("https://notexample.com:4317", true),
            ("https://example.com:4317", false),
            ("https://otel.example.com:4317", false),
            ("https://10.1.2.3:4317", false),
            ("https://11.1.2.3:4317", true),
            ("https://[::1]:4317", false),
        ] {
            assert_eq!(proxy(target, variables).is_some(), proxied, "{target}");
        }
        let all = &[("https_proxy", "http://b:1"), ("no_grpc_proxy", "*"), ("no_proxy", "elsewhere")];
        assert_eq!(proxy("https://collector:4317", all), None);
    }

    #[test]
    fn a_proxy_that_is_not_plain_http_is_ignored() {
        let addresses: [&[_]; 4] = [
            &[("https_proxy", "https://b:1")],
            &[("https_proxy", "socks5://b:1")],
            &[("https_proxy", "ftp://b:1")],
            &[("https_proxy", "::")],
        ];
        for variables in addresses {
            assert_eq!(proxy("https://collector:4317", variables), None);
        }
    }
}
