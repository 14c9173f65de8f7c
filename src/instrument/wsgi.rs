//! The attributes of a request to a WSGI application.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString};

use crate::instrument::attributes::{Names, is_known_method, may_be_synthetic};
use crate::instrument::collected::Collect;
use crate::py::once::intern;

/// What `opentelemetry.instrumentation.wsgi.collect_request_attributes` makes of an environ, in the old and in the new
/// semantic conventions; None where it takes another way than the usual one, so that its own code has to run.
#[pyfunction]
pub fn wsgi_request_attributes<'py>(
    environ: &Bound<'py, PyAny>,
    old: bool,
    new: bool,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    collected(environ, Names { result: PyDict::new(environ.py()), old, new })
}

/// The same, wherever they are collected.
pub fn collected<'py, C: Collect<'py>>(environ: &Bound<'py, PyAny>, names: Names<C>) -> PyResult<Option<C>> {
    match environ.cast_exact::<PyDict>() {
        Ok(environ) => Environ(environ).attributes(names),
        Err(_) => Ok(None),
    }
}

struct Environ<'a, 'py>(&'a Bound<'py, PyDict>);

/// A value that upstream takes as it is.
enum Found<'py> {
    /// Missing, None or empty.
    Nothing,
    Text(Bound<'py, PyString>),
    /// Anything else, for upstream's own code.
    Other,
}

/// The text, or None if there is none; returns false from the function where upstream's own code has to look.
macro_rules! text {
    ($found:expr) => {
        match $found {
            Found::Nothing => None,
            Found::Text(text) => Some(text),
            Found::Other => return Ok(false),
        }
    };
}

/// The `set_` methods return false where upstream's own code has to look.
impl<'py> Environ<'_, 'py> {
    fn attributes<C: Collect<'py>>(&self, mut attributes: Names<C>) -> PyResult<Option<C>> {
        let is_usual = self.set_method_and_server(&mut attributes)?
            && self.set_target(&mut attributes)?
            && self.set_peer(&mut attributes)?
            && self.set_agent_and_protocol(&mut attributes)?;
        Ok(is_usual.then_some(attributes.result))
    }

    fn find(&self, name: &Bound<'py, PyString>) -> PyResult<Found<'py>> {
        let Some(value) = self.0.get_item(name)? else { return Ok(Found::Nothing) };
        if value.is_none() {
            return Ok(Found::Nothing);
        }
        Ok(match value.cast_into_exact::<PyString>() {
            Ok(text) if text.len()? == 0 => Found::Nothing,
            Ok(text) => Found::Text(text),
            Err(_) => Found::Other,
        })
    }

    fn set_method_and_server(&self, attributes: &mut Names<impl Collect<'py>>) -> PyResult<bool> {
        let py = self.0.py();
        match text!(self.find(intern!(py, "REQUEST_METHOD"))?) {
            Some(method) if is_known_method(&method) => {
                attributes.add(intern!(py, "http.method"), intern!(py, "http.request.method"), &method)?;
            }
            _ => return Ok(false),
        }
        if attributes.old {
            // None, too.
            let server_name = self.0.get_item(intern!(py, "SERVER_NAME"))?;
            let server_name = server_name.unwrap_or_else(|| py.None().into_bound(py));
            attributes.result.add(intern!(py, "http.server_name"), &server_name)?;
        }
        if let Some(scheme) = text!(self.find(intern!(py, "wsgi.url_scheme"))?) {
            attributes.add(intern!(py, "http.scheme"), intern!(py, "url.scheme"), &scheme)?;
        }
        if let Some(host) = text!(self.find(intern!(py, "HTTP_HOST"))?) {
            attributes.add(intern!(py, "net.host.name"), intern!(py, "server.address"), &host)?;
            if attributes.old {
                attributes.result.add(intern!(py, "http.host"), &host)?;
            }
        }
        if let Some(port) = text!(self.find(intern!(py, "SERVER_PORT"))?) {
            match port_number(&port) {
                None => return Ok(false),
                Some(0) => {}
                Some(port) => {
                    let port = PyInt::new(py, port);
                    attributes.add(intern!(py, "net.host.port"), intern!(py, "server.port"), &port)?;
                }
            }
        }
        Ok(true)
    }

    fn set_target(&self, attributes: &mut Names<impl Collect<'py>>) -> PyResult<bool> {
        let py = self.0.py();
        let raw = match self.0.get_item(intern!(py, "RAW_URI"))? {
            Some(target) if !target.is_none() => Some(target),
            _ => self.0.get_item(intern!(py, "REQUEST_URI"))?,
        };
        // Without one upstream puts the URL together.
        let Some(target) = raw.and_then(|target| target.cast_into_exact::<PyString>().ok()) else { return Ok(false) };
        if target.len()? == 0 {
            return Ok(false);
        }
        if attributes.old {
            attributes.result.add(intern!(py, "http.target"), &target)?;
        }
        if attributes.new {
            if let Some(path) = text!(self.find(intern!(py, "PATH_INFO"))?) {
                attributes.result.add(intern!(py, "url.path"), &path)?;
            }
            if let Some(query) = text!(self.find(intern!(py, "QUERY_STRING"))?) {
                attributes.result.add(intern!(py, "url.query"), &query)?;
            }
        }
        Ok(true)
    }

    fn set_peer(&self, attributes: &mut Names<impl Collect<'py>>) -> PyResult<bool> {
        let py = self.0.py();
        let address = text!(self.find(intern!(py, "REMOTE_ADDR"))?);
        if let Some(address) = &address {
            attributes.add(intern!(py, "net.peer.ip"), intern!(py, "client.address"), address)?;
        }
        if let Some(port) = text!(self.find(intern!(py, "REMOTE_PORT"))?) {
            let Some(port) = port_number(&port) else { return Ok(false) };
            attributes.add(intern!(py, "net.peer.port"), intern!(py, "client.port"), &PyInt::new(py, port))?;
        }
        if let Some(host) = text!(self.find(intern!(py, "REMOTE_HOST"))?)
            && !address.is_some_and(|address| address.as_any().eq(&host).unwrap_or(false))
        {
            attributes.set(intern!(py, "net.peer.name"), intern!(py, "client.address"), &host)?;
        }
        Ok(true)
    }

    fn set_agent_and_protocol(&self, attributes: &mut Names<impl Collect<'py>>) -> PyResult<bool> {
        let py = self.0.py();
        if let Some(user_agent) = text!(self.find(intern!(py, "HTTP_USER_AGENT"))?) {
            if may_be_synthetic(&user_agent) {
                return Ok(false);
            }
            attributes.add(intern!(py, "http.user_agent"), intern!(py, "user_agent.original"), &user_agent)?;
        }
        if let Some(protocol) = text!(self.find(intern!(py, "SERVER_PROTOCOL"))?) {
            let Some(flavor) = flavor(&protocol) else { return Ok(false) };
            attributes.add(intern!(py, "http.flavor"), intern!(py, "network.protocol.version"), &flavor)?;
        }
        Ok(true)
    }
}

/// The number that up to five digits are.
fn port_number(text: &Bound<'_, PyString>) -> Option<u32> {
    let digits = text.to_str().ok().filter(|digits| digits.len() <= 5 && !digits.starts_with('+'))?;
    digits.parse().ok()
}

/// `1.1` of `HTTP/1.1`. None where upstream's own code has to look.
fn flavor<'py>(protocol: &Bound<'py, PyString>) -> Option<Bound<'py, PyString>> {
    let py = protocol.py();
    match protocol.to_str().unwrap_or_default() {
        "HTTP/1.1" => Some(intern!(py, "1.1").clone()),
        "HTTP/1.0" => Some(intern!(py, "1.0").clone()),
        "HTTP/2" => Some(intern!(py, "2").clone()),
        "HTTP/2.0" => Some(intern!(py, "2.0").clone()),
        _ => None,
    }
}
