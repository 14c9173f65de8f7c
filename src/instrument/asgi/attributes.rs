//! The attributes of a request to an ASGI application.

use otel_rs_core::propagate::percent::decoded_url;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyString, PyTuple};

use crate::instrument::asgi::headers::Headers;
use crate::instrument::attributes::{Names, has_secret, is_known_method, may_be_synthetic};
use crate::py::once::intern;

/// What `opentelemetry.instrumentation.asgi.collect_request_attributes` makes of a scope, in the old and in the new
/// semantic conventions; None where it takes another way than the usual one, so that its own code has to run.
#[pyfunction]
pub fn asgi_request_attributes<'py>(
    scope: &Bound<'py, PyAny>,
    old: bool,
    new: bool,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Ok(scope) = scope.cast_exact::<PyDict>() else { return Ok(None) };
    let mut names = Names { result: PyDict::new(scope.py()), old, new };
    Ok(Request::of(scope)?.map(|request| request.set(&mut names)).transpose()?.map(|()| names.result))
}

/// What a request's attributes are made of.
struct Request<'py> {
    scheme: Option<Bound<'py, PyString>>,
    /// With the port, unless that is 80.
    server: Bound<'py, PyString>,
    port: Option<Bound<'py, PyAny>>,
    version: Option<Bound<'py, PyString>>,
    path: Option<Bound<'py, PyString>>,
    query: Option<Bound<'py, PyString>>,
    url: Bound<'py, PyString>,
    method: Option<Bound<'py, PyString>>,
    /// Of the header, which may be empty.
    host: Option<Bound<'py, PyString>>,
    user_agent: Option<Bound<'py, PyString>>,
    client: Option<(Bound<'py, PyString>, Bound<'py, PyAny>)>,
}

impl<'py> Request<'py> {
    /// None where upstream's own code has to look.
    fn of(scope: &Bound<'py, PyDict>) -> PyResult<Option<Self>> {
        let py = scope.py();
        let Some(headers) = Headers::of(scope)? else { return Ok(None) };
        let names = [intern!(py, "scheme"), intern!(py, "http_version"), intern!(py, "path"), intern!(py, "method")];
        let Some([scheme, version, path, method]) = texts(scope, names)? else { return Ok(None) };
        let is_known = |method: &Bound<'py, PyString>| method.is_empty().unwrap_or(false) || is_known_method(method);
        if !method.as_ref().is_none_or(is_known) {
            return Ok(None);
        }
        let Some((address, port)) = server(scope)? else { return Ok(None) };
        let server = match &port {
            Some(80) => address,
            Some(port) => PyString::new(py, &format!("{}:{port}", address.to_str()?)),
            None => return Ok(None),
        };
        let query = match scope.get_item(intern!(py, "query_string"))? {
            None => None,
            Some(query) => match query.cast_exact::<pyo3::types::PyBytes>() {
                Ok(query) if query.as_bytes().is_ascii() => Some(PyString::from_bytes(py, query.as_bytes())?),
                _ => return Ok(None),
            },
        };
        let query = query.filter(|query| !query.is_empty().unwrap_or(true));
        let host = headers.joined("host")?;
        let first_host = headers.first("host");
        let url = url(
            scheme.as_ref().map_or(Ok("http"), |scheme| scheme.to_str())?,
            first_host.as_ref().unwrap_or(&server).to_str()?,
            path.as_ref().map_or(Ok(""), |path| path.to_str())?,
            query.as_ref().map_or(Ok(""), |query| query.to_str())?,
        );
        let Some(url) = url else { return Ok(None) };
        let user_agent = headers.first("user-agent");
        if user_agent.as_ref().is_some_and(may_be_synthetic) {
            return Ok(None);
        }
        let client = match scope.get_item(intern!(py, "client"))? {
            Some(client) if !client.is_none() => match address_and_port(&client) {
                Some(client) => Some(client),
                None => return Ok(None),
            },
            _ => None,
        };
        Ok(Some(Self {
            scheme,
            server,
            port: port.filter(|&port| port != 0).map(|port| PyInt::new(py, port).into_any()),
            version,
            path,
            query,
            url: PyString::new(py, &url),
            method,
            host,
            user_agent,
            client,
        }))
    }

    fn set(self, names: &mut Names<Bound<'py, PyDict>>) -> PyResult<()> {
        let py = names.result.py();
        names.set_text(intern!(py, "http.scheme"), intern!(py, "url.scheme"), self.scheme.as_ref())?;
        names.set_text(intern!(py, "http.host"), intern!(py, "server.address"), Some(&self.server))?;
        if let Some(port) = &self.port {
            names.set(intern!(py, "net.host.port"), intern!(py, "server.port"), port)?;
        }
        let version = self.version.as_ref();
        names.set_text(intern!(py, "http.flavor"), intern!(py, "network.protocol.version"), version)?;
        names.set_text(intern!(py, "http.target"), intern!(py, "url.path"), self.path.as_ref())?;
        let has_path = self.path.is_some_and(|path| !path.is_empty().unwrap_or(true));
        if let Some(query) = self.query.filter(|_| has_path && names.new) {
            names.result.set_item(intern!(py, "url.query"), query)?;
        }
        if names.old {
            names.result.set_item(intern!(py, "http.url"), self.url)?;
        }
        names.set_text(intern!(py, "http.method"), intern!(py, "http.request.method"), self.method.as_ref())?;
        if let Some(host) = self.host.filter(|_| names.old) {
            names.result.set_item(intern!(py, "http.server_name"), host)?;
        }
        let user_agent = self.user_agent.as_ref();
        names.set_text(intern!(py, "http.user_agent"), intern!(py, "user_agent.original"), user_agent)?;
        if let Some((address, port)) = self.client {
            names.set_text(intern!(py, "net.peer.ip"), intern!(py, "client.address"), Some(&address))?;
            if port.is_truthy()? {
                names.set(intern!(py, "net.peer.port"), intern!(py, "client.port"), &port)?;
            }
        }
        Ok(())
    }
}

/// What a scope has by these names; None where one is no text, or one with surrogates.
fn texts<'py, const N: usize>(
    scope: &Bound<'py, PyDict>,
    names: [&Bound<'py, PyString>; N],
) -> PyResult<Option<[Option<Bound<'py, PyString>>; N]>> {
    let mut found = [const { None }; N];
    for (name, place) in names.iter().zip(&mut found) {
        if let Some(value) = scope.get_item(name)? {
            let Some(text) = encodable(value) else { return Ok(None) };
            *place = Some(text);
        }
    }
    Ok(Some(found))
}

/// Where the server listens; None in place of the port where that is no number, as of a Unix socket.
fn server<'py>(scope: &Bound<'py, PyDict>) -> PyResult<Option<(Bound<'py, PyString>, Option<u32>)>> {
    let py = scope.py();
    let server = match scope.get_item(intern!(py, "server"))? {
        Some(server) if server.is_truthy()? => server,
        _ => return Ok(Some((intern!(py, "0.0.0.0").clone(), Some(80)))),
    };
    Ok(address_and_port(&server).map(|(address, port)| (address, port.extract().ok())))
}

fn address_and_port<'py>(pair: &Bound<'py, PyAny>) -> Option<(Bound<'py, PyString>, Bound<'py, PyAny>)> {
    let (address, port) = match (pair.cast_exact::<PyTuple>(), pair.cast_exact::<PyList>()) {
        (Ok(tuple), _) => (tuple.get_item(0).ok()?, tuple.get_item(1).ok()?),
        (_, Ok(list)) => (list.get_item(0).ok()?, list.get_item(1).ok()?),
        _ => return None,
    };
    Some((encodable(address)?, port)).filter(|(_, port)| port.is_exact_instance_of::<PyInt>())
}

/// A text without surrogates.
fn encodable(value: Bound<'_, PyAny>) -> Option<Bound<'_, PyString>> {
    value.cast_into_exact::<PyString>().ok().filter(|text| text.to_str().is_ok())
}

/// The URL as it was written, without percent signs in its query; None where there may be something to redact.
fn url(scheme: &str, host: &str, path: &str, query: &str) -> Option<String> {
    let mut url = format!("{scheme}://{host}{path}");
    if !query.is_empty() {
        url.push('?');
        url.push_str(&decoded_url(query)?);
    }
    let removed_by_urlparse = |c| matches!(c, '\t' | '\r' | '\n');
    let may_have_credentials = host.contains('@') || !(path.is_empty() || path.starts_with('/'));
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    let parameters = parameters.split('#').next().unwrap_or_default();
    (!may_have_credentials && !url.contains(removed_by_urlparse) && !has_secret(parameters)).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn a_url_is_put_together() {
        assert_eq!(url("http", "shop:8000", "/a b", "c=%20d").unwrap(), "http://shop:8000/a b?c= d");
        assert_eq!(url("ws", "", "", "").unwrap(), "ws://");
    }

    #[test]
    fn one_with_a_secret_is_left_to_contrib() {
        for (host, path, query) in [
            ("user:password@shop", "/", ""),
            ("shop", "@other/", ""),
            ("shop", "/", "a=1&sig=2"),
            ("shop", "/", "a=1%26sig=2"),
            ("shop", "/a?sig=1", ""),
            ("shop", "/", "s%2569g=1"),
            ("shop", "/", "s%09ig=1"),
        ] {
            assert_eq!(url("http", host, path, query), None, "{host} {path} {query}");
        }
    }
}
