//! The proxy that the configuration or the environment names. One that cannot be used fails the export: the request must not go around it.

mod exceptions;
mod server;
mod variables;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use super::config::{ClientConfig, Protocol};
use super::endpoint::{Endpoint, Target};
use super::secrets::credentials_in;
use exceptions::Exceptions;
use variables::{Environment, Variable};

pub(super) use server::ProxyServer;
pub(super) use variables::environment;

pub(super) struct Proxy {
    /// Or why it cannot be used: one line that names where it is from, free of secrets.
    pub server: Result<ProxyServer, String>,
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
    let Endpoint::Url(Target { url, .. }) = endpoint else { return None };
    let server = match (&config.proxy, config.protocol) {
        (Some(address), _) if address.is_empty() => return None,
        (Some(address), _) => ProxyServer::parse(address)
            .map_err(|problem| format!("the proxy that the exporter was given cannot be used: {problem}")),
        (None, Protocol::Grpc) => for_grpc(url, &environment)?,
        (None, Protocol::HttpProtobuf | Protocol::HttpJson) => for_http(url, &environment)?,
    };
    let forwards = config.protocol != Protocol::Grpc && !endpoint.is_tls();
    Some(Proxy { server, task: if forwards { ProxyTask::Forward } else { ProxyTask::Tunnel } })
}

/// The proxy for HTTP requests to `target`, as `requests` finds it; on macOS and Windows by the system's settings if no
/// variable names one.
fn for_http(target: &Url, environment: &Environment) -> Option<Result<ProxyServer, String>> {
    if variables::name_an_http_proxy(environment) {
        let proxy = variables::http_proxy(target.scheme(), environment)?;
        return named_by(proxy, &variables::no_http_proxy(environment), target);
    }
    let intercept = Matcher::from_system().intercept(&http::Uri::try_from(target.as_str()).ok()?)?;
    let server = ProxyServer::parse(&intercept.uri().to_string());
    Some(server.map_err(|problem| format!("the system's proxy cannot be used: {problem}")))
}

/// The proxy for gRPC calls to `target`.
fn for_grpc(target: &Url, environment: &Environment) -> Option<Result<ProxyServer, String>> {
    named_by(variables::grpc_proxy(environment)?, &variables::no_grpc_proxy(environment), target)
}

fn named_by(proxy: Variable, exceptions: &str, target: &Url) -> Option<Result<ProxyServer, String>> {
    if Exceptions(exceptions).contain(target) {
        return None;
    }
    let Variable { name, text } = proxy;
    Some(ProxyServer::parse(&text).map_err(|problem| format!("the proxy in {name} cannot be used: {problem}")))
}

/// The credentials of the environment's proxies, which must not appear in the log.
pub(super) fn secrets(environment: &Environment) -> Vec<String> {
    let texts = variables::PROXIES.iter().filter_map(|name| environment(name));
    texts.flat_map(|text| secrets_in(&text)).collect()
}

/// The credentials in a proxy's address.
pub(super) fn secrets_in(text: &str) -> Vec<String> {
    let normalized = server::url(text).map(|url| credentials_in(url.as_str())).unwrap_or_default();
    [credentials_in(text), normalized].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables = &'static [(&'static str, &'static str)];
    type Found = fn(&Url, &Environment) -> Option<Result<ProxyServer, String>>;

    fn find(find: Found, target: &str, variables: Variables) -> Option<Result<ProxyServer, String>> {
        let environment = move |name: &str| Some(variables.iter().find(|(known, _)| *known == name)?.1.to_owned());
        find(&Url::parse(target).unwrap(), &environment)
    }

    /// The host of the proxy, if there is one.
    fn proxy(by: Found, target: &str, variables: Variables) -> Option<String> {
        Some(find(by, target, variables)?.unwrap().host)
    }

    #[test]
    fn grpcs_own_variable_comes_first() {
        let all: Variables = &[
            ("HTTPS_PROXY", "http://d:1"),
            ("http_proxy", "http://c:1"),
            ("https_proxy", "http://b:1"),
            ("grpc_proxy", "http://a:1"),
        ];
        for target in ["http://collector:4317", "https://collector:4317"] {
            for (count, host) in [(4, Some("a")), (3, Some("b")), (2, Some("c")), (1, Some("d")), (0, None)] {
                assert_eq!(proxy(for_grpc, target, &all[..count]).as_deref(), host, "{target} {count}");
            }
        }
        // Empty means none, and hides those after it.
        assert_eq!(
            proxy(for_grpc, "http://collector:4317", &[("grpc_proxy", ""), ("https_proxy", "http://b:1")]),
            None
        );
    }

    #[test]
    fn http_goes_by_the_scheme_then_by_all() {
        let all: Variables =
            &[("ALL_PROXY", "http://a:1"), ("https_proxy", "http://s:1"), ("http_proxy", "http://p:1")];
        for (target, count, host) in [
            ("http://collector:4318", 3, Some("p")),
            ("https://collector:4318", 3, Some("s")),
            ("http://collector:4318", 2, Some("a")),
            ("https://collector:4318", 1, Some("a")),
        ] {
            assert_eq!(proxy(for_http, target, &all[..count]).as_deref(), host, "{target} {count}");
        }
        let cases: [(Variables, Option<&str>); 4] = [
            (&[("HTTP_PROXY", "http://upper:1"), ("http_proxy", "http://lower:1")], Some("lower")),
            (&[("HTTP_PROXY", "http://upper:1"), ("http_proxy", "")], None),
            (&[("http_proxy", ""), ("all_proxy", "http://all:1")], Some("all")),
            (&[("HTTP_PROXY", "collector:1")], Some("collector")),
        ];
        for (variables, host) in cases {
            assert_eq!(proxy(for_http, "http://collector:4318", variables).as_deref(), host, "{variables:?}");
        }
        // In a CGI process HTTP_PROXY is what a client sent as a `Proxy` header.
        let cgi: Variables = &[("HTTP_PROXY", "http://a:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(proxy(for_http, "http://collector:4318", cgi), None);
        assert_eq!(proxy(for_grpc, "http://collector:4318", cgi), None);
    }

    #[test]
    fn exceptions_are_read_in_both_cases() {
        let target = "https://collector:4317";
        for by in [for_http as Found, for_grpc] {
            let cases: [Variables; 2] = [
                &[("https_proxy", "http://b:1"), ("no_proxy", "elsewhere, collector")],
                &[("https_proxy", "http://b:1"), ("NO_PROXY", "elsewhere, collector")],
            ];
            for variables in cases {
                assert_eq!(proxy(by, target, variables), None, "{variables:?}");
            }
        }
        let all: Variables = &[("https_proxy", "http://b:1"), ("no_grpc_proxy", ""), ("no_proxy", "collector")];
        assert!(proxy(for_grpc, target, all).is_some());
        assert!(proxy(for_http, target, all).is_none());
    }

    #[test]
    fn what_cannot_be_used_is_an_error_that_names_the_variable() {
        for by in [for_http as Found, for_grpc] {
            let cases: [(&str, Variables); 2] = [
                ("https_proxy", &[("https_proxy", "ftp://user:pa55@host:1")]),
                ("HTTPS_PROXY", &[("HTTPS_PROXY", "ftp://user:pa55@host:1")]),
            ];
            for (variable, variables) in cases {
                let problem = find(by, "https://collector:1", variables).unwrap().err().unwrap();
                assert_eq!(
                    problem,
                    format!("the proxy in {variable} cannot be used: the scheme must be http or https")
                );
            }
        }
    }

    #[test]
    fn passwords_are_secrets_even_of_proxies_that_cannot_be_used() {
        let environment = |name: &str| (name == "all_proxy").then(|| "http://user:pa55 word@ho st:1".to_owned());
        assert!(secrets(&environment).contains(&"pa55 word".to_owned()));
        let environment = |name: &str| (name == "GRPC_PROXY").then(|| "http://user:pa55@host:1".to_owned());
        assert!(secrets(&environment).is_empty(), "nobody reads it");
    }
}
