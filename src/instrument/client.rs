//! The attributes of a request that an HTTP client sends.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString};

use crate::instrument::attributes::{Names, has_secret, is_known_method, may_be_synthetic};
use crate::instrument::collected::Collect;
use crate::py::once::intern;

/// What contrib's instrumentation of an HTTP client makes of a request: the attributes of its span, and of its metrics.
/// None where it takes another way than the usual one, so that its own code has to run.
///
/// `peer_by_old_names`: metrics with old names have the peer, as those of requests have, and not those of httpx.
#[pyfunction]
pub fn client_request_attributes<'py>(
    method: &Bound<'py, PyAny>,
    url: &Bound<'py, PyAny>,
    user_agent: &Bound<'py, PyAny>,
    old: bool,
    new: bool,
    peer_by_old_names: bool,
) -> PyResult<Option<(Bound<'py, PyDict>, Bound<'py, PyDict>)>> {
    let dict = || PyDict::new(method.py());
    collected(method, url, user_agent, Names { result: dict(), old, new }, dict(), peer_by_old_names)
}

/// The same, wherever they are collected.
pub fn collected<'py, C: Collect<'py>>(
    method: &Bound<'py, PyAny>,
    url: &Bound<'py, PyAny>,
    user_agent: &Bound<'py, PyAny>,
    mut span: Names<C>,
    metric: C,
    peer_by_old_names: bool,
) -> PyResult<Option<(C, C)>> {
    let (py, old, new) = (method.py(), span.old, span.new);
    let (Ok(method), Ok(url)) = (method.cast_exact::<PyString>(), url.cast_exact::<PyString>()) else {
        return Ok(None);
    };
    let Some(parts) = url.to_str().ok().and_then(Url::of).filter(|_| is_known_method(method)) else { return Ok(None) };
    let user_agent = match user_agent.cast_exact::<PyString>() {
        Ok(user_agent) if may_be_synthetic(user_agent) => return Ok(None),
        Ok(user_agent) => Some(user_agent).filter(|text| !text.is_empty().unwrap_or(true)),
        Err(_) if user_agent.is_none() => None,
        Err(_) => return Ok(None),
    };
    let mut metric = Names { result: metric, old, new };
    for names in [&mut span, &mut metric] {
        names.add(intern!(py, "http.method"), intern!(py, "http.request.method"), method)?;
    }
    span.add(intern!(py, "http.url"), intern!(py, "url.full"), url)?;
    if let Some(user_agent) = user_agent {
        span.result.add(intern!(py, "user_agent.original"), user_agent)?;
    }
    if old {
        let scheme = if parts.is_secure { intern!(py, "https") } else { intern!(py, "http") };
        metric.result.add(intern!(py, "http.scheme"), scheme)?;
    }
    let host = PyString::new(py, parts.host);
    let port = parts.port.map(|port| PyInt::new(py, port));
    if new || peer_by_old_names {
        metric.add(intern!(py, "http.host"), intern!(py, "server.address"), &host)?;
        if old {
            metric.result.add(intern!(py, "net.peer.name"), &host)?;
        }
        if let Some(port) = &port {
            metric.add(intern!(py, "net.peer.port"), intern!(py, "server.port"), port)?;
        }
    }
    if new {
        span.add(intern!(py, "http.host"), intern!(py, "server.address"), &host)?;
        span.result.add(intern!(py, "network.peer.address"), &host)?;
        if let Some(port) = &port {
            span.add(intern!(py, "net.peer.port"), intern!(py, "server.port"), port)?;
            span.result.add(intern!(py, "network.peer.port"), port)?;
        }
    }
    Ok(Some((span.result, metric.result)))
}

/// Whether contrib redacts nothing in it.
#[pyfunction]
pub fn is_plain_url(url: &Bound<'_, PyAny>) -> bool {
    url.cast_exact::<PyString>().is_ok_and(|url| url.to_str().ok().and_then(Url::of).is_some())
}

/// Adds what contrib's instrumentation of urllib3 reports of a request and its response with metrics. False, and nothing
/// is added, where it takes another way than the usual one.
#[pyfunction]
pub fn add_pool_attributes<'py>(
    attributes: Bound<'py, PyDict>,
    pool: [Bound<'py, PyAny>; 3],
    method: &Bound<'py, PyAny>,
    version: &Bound<'py, PyAny>,
    old: bool,
    new: bool,
) -> PyResult<bool> {
    let py = method.py();
    let [scheme, host, port] = pool;
    let (Ok(scheme), Ok(host)) = (scheme.cast_into_exact::<PyString>(), host.cast_into_exact::<PyString>()) else {
        return Ok(false);
    };
    if !(port.is_none() || port.is_exact_instance_of::<PyInt>()) {
        return Ok(false);
    }
    let version = match version.extract::<u32>() {
        Ok(0) => None,
        Ok(11) => Some(intern!(py, "1.1")),
        Ok(_) => Some(intern!(py, "1.0")),
        Err(_) => return Ok(false),
    };
    let mut names = Names { result: attributes, old, new };
    names.set_text(intern!(py, "http.host"), intern!(py, "server.address"), Some(&host))?;
    names.set_text(intern!(py, "http.scheme"), intern!(py, "url.scheme"), Some(&scheme))?;
    names.set(intern!(py, "http.method"), intern!(py, "http.request.method"), method)?;
    names.set_text(intern!(py, "net.peer.name"), intern!(py, "server.address"), Some(&host))?;
    if port.is_truthy()? {
        names.set(intern!(py, "net.peer.port"), intern!(py, "server.port"), &port)?;
    }
    names.set_text(intern!(py, "http.flavor"), intern!(py, "network.protocol.version"), version)?;
    Ok(true)
}

/// A URL without secrets, which `urlparse` takes apart in this way.
struct Url<'a> {
    is_secure: bool,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Url<'a> {
    fn of(url: &'a str) -> Option<Self> {
        // `urlparse` leaves out or rejects some of the others.
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (is_secure, rest) = match url.strip_prefix("http://") {
            Some(rest) => (false, rest),
            None => (true, url.strip_prefix("https://")?),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => {
                (host, Some(port.parse().ok().filter(|&number| number > 0 && !port.starts_with('+'))?))
            }
            None => (authority, None),
        };
        // No credentials, no IPv6 address, and nothing to put into lower case.
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        if host.is_empty() || !host.bytes().all(is_plain) {
            return None;
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        if has_secret(query) {
            return None;
        }
        Some(Self { is_secure, host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn a_plain_url_is_taken_apart() {
        let url = Url::of("http://shop.example:8080/a?b=1&c#d").unwrap();
        assert_eq!((url.is_secure, url.host, url.port), (false, "shop.example", Some(8080)));
        let url = Url::of("https://127.0.0.1").unwrap();
        assert_eq!((url.is_secure, url.host, url.port), (true, "127.0.0.1", None));
    }

    #[test]
    fn any_other_is_left_to_contrib() {
        for url in [
            "http://user:secret@shop.example/",
            "http://Shop.example/",
            "http://[::1]/",
            "http://shop.example:/",
            "http://shop.example:0/",
            "http://shop.example:99999/",
            "http://shop.example/?sig=1",
            "http://shop.example/?a=1&s%69g=1",
            "http://shop.example/ a",
            "http://shöp.example/",
            "HTTP://shop.example/",
            "ftp://shop.example/",
            "http:///a",
            "",
        ] {
            assert!(Url::of(url).is_none(), "{url}");
        }
    }
}
