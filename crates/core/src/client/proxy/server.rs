//! A proxy's address.

use http::HeaderValue;
use url::Url;

use super::super::secrets::basic_authentication;

#[derive(Debug, PartialEq, Eq)]
pub struct ProxyServer {
    /// An IPv6 address is in brackets.
    pub host: String,
    pub port: u16,
    /// Whether it is itself reached over TLS.
    pub is_tls: bool,
    /// For the header `proxy-authorization`.
    pub credentials: Option<HeaderValue>,
}

impl ProxyServer {
    /// Host and port.
    pub fn shown(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// An error says why `text` is none, without a word of it: any part may be a password.
    pub fn parse(text: &str) -> Result<ProxyServer, String> {
        let url = url(text)?;
        Ok(ProxyServer {
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            is_tls: url.scheme() == "https",
            credentials: basic_authentication(url.as_str()),
        })
    }
}

/// `http://` may be left out.
pub(super) fn url(text: &str) -> Result<Url, String> {
    let text = text.trim();
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err("it is not UTF-8".to_owned());
    }
    if text.contains(char::is_control) {
        return Err("it contains a control character".to_owned());
    }
    let parsed = match text.contains("://") {
        true => Url::parse(text),
        false => Url::parse(&format!("http://{}", text.trim_start_matches("//"))),
    };
    let url = parsed.map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        "socks4" | "socks4a" | "socks5" | "socks5h" => Err(format!(
            "{} is not supported; name an http:// or https:// proxy, or the receiver in no_proxy",
            url.scheme()
        )),
        _ => Err("the scheme must be http or https".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let basic = |credentials: &'static str| Some(HeaderValue::from_static(credentials));
        for (text, host, port, is_tls, credentials) in [
            ("http://proxy:3128", "proxy", 3128, false, None),
            ("http://proxy:3128/", "proxy", 3128, false, None),
            (" http://proxy:3128 ", "proxy", 3128, false, None),
            ("proxy:3128", "proxy", 3128, false, None),
            ("//proxy:3128", "proxy", 3128, false, None),
            ("proxy", "proxy", 80, false, None),
            ("HTTP://Proxy", "proxy", 80, false, None),
            ("https://proxy", "proxy", 443, true, None),
            ("http://[::1]:3128", "[::1]", 3128, false, None),
            ("http://user:pass@proxy:1", "proxy", 1, false, basic("Basic dXNlcjpwYXNz")),
            ("user:pass@proxy:1", "proxy", 1, false, basic("Basic dXNlcjpwYXNz")),
            ("http://user:p a@proxy:1", "proxy", 1, false, basic("Basic dXNlcjpwIGE=")),
            ("http://user:p%20a@proxy:1", "proxy", 1, false, basic("Basic dXNlcjpwIGE=")),
            ("http://user:p@ss@proxy:1", "proxy", 1, false, basic("Basic dXNlcjpwQHNz")),
        ] {
            let server = ProxyServer { host: host.to_owned(), port, is_tls, credentials };
            assert_eq!(ProxyServer::parse(text), Ok(server), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_without_a_word_of_it() {
        let socks = |scheme: &str| {
            format!("{scheme} is not supported; name an http:// or https:// proxy, or the receiver in no_proxy")
        };
        for (text, problem) in [
            ("http://user:pa55 word@proxy host:3128", "invalid international domain name"),
            ("ftp://user:pa55@proxy:1", "the scheme must be http or https"),
            ("pa55://proxy:1", "the scheme must be http or https"),
            ("http://proxy:99999", "invalid port number"),
            ("http://proxy:pa55", "invalid port number"),
            ("http://[", "invalid IPv6 address"),
            ("http://", "empty host"),
            (" ", "empty host"),
            ("http://pro\nxy", "it contains a control character"),
            ("http://user:pa\u{fffd}55@proxy", "it is not UTF-8"),
            ("socks4://proxy:1", &socks("socks4")),
            ("socks5h://user:pa55@proxy:1", &socks("socks5h")),
            ("SOCKS5://proxy:1", &socks("socks5")),
        ] {
            assert_eq!(ProxyServer::parse(text), Err(problem.to_owned()), "{text}");
        }
    }
}
