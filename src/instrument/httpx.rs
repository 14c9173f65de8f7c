//! What contrib's instrumentation of httpx does with a request that is sent.

use std::sync::Mutex;
use std::time::Instant;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

use crate::instrument::attributes::put_response_code;
use crate::instrument::client::client_request_attributes;
use crate::instrument::client_span::ClientSpan;
use crate::instrument::contexts::is_http_instrumentation_enabled;
use crate::instrument::exclusion::exclusion;
use crate::instrument::measure::{Keys, Measurement};
use crate::instrument::originals::{Originals, lists_are_known};
use crate::instrument::server_span::is_recording;
use crate::metrics::exemplar_filter::Within;
use crate::metrics::items::Given;
use crate::propagate::functions::{inject_into, is_native_inject};
use crate::py::once::intern;
use crate::py::{call, exception};

/// The first code of a response that makes a client's span an error.
const ERRORS_FROM: u32 = 400;

/// Made once by `otel_rs.instrument.httpx`.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct HttpxModule {
    names: Names,
}

/// What it is made of, as attributes of an object.
struct Names {
    /// What contrib's module has.
    contrib: Py<PyDict>,
    /// Contrib's functions, which a program may replace.
    replaceable: Py<Originals>,
    conventions: Vec<Convention>,
    /// The attributes that metrics have.
    duration_old: Keys,
    duration_new: Keys,
    /// httpx's classes of the releases that are known: others may keep URLs and headers in another way.
    url: Option<Py<PyType>>,
    parsed_url: Option<Py<PyType>>,
    headers: Option<Py<PyType>>,
    /// `object.__new__`.
    make: Py<PyAny>,
    /// Puts a response that is out of the ordinary into a span and the attributes of metrics.
    observe: Py<PyAny>,
}

extract_from_attributes!(Names {
    contrib,
    replaceable,
    conventions,
    duration_old,
    duration_new,
    url,
    parsed_url,
    headers,
    make,
    observe
});

/// A mode of the semantic conventions.
struct Convention {
    mode: Py<PyAny>,
    old: bool,
    new: bool,
}

extract_from_attributes!(Convention { mode, old, new });

/// A request that is under way.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct HttpxRequest {
    module: Py<HttpxModule>,
    /// The keyword arguments of contrib's wrapper.
    options: Py<PyDict>,
    old: bool,
    new: bool,
    span: Py<PyAny>,
    /// The attributes of the metrics.
    labels: Py<PyDict>,
    open: Mutex<Option<Open>>,
}

struct Open {
    span: ClientSpan,
    start: Instant,
}

/// How a request is sent.
enum Way<'py> {
    /// In a span.
    Traced(Bound<'py, HttpxRequest>),
    /// As if there was no instrumentation.
    Plain,
    /// As contrib sends it.
    Contribs,
}

#[pymethods]
impl HttpxModule {
    #[new]
    fn new(names: Names) -> Self {
        Self { names }
    }

    /// Begins a request: its span is the current one, and its headers name it. False if the request has no span, and
    /// None where contrib's own code has to send it. `hooks`: the names of the options that are hooks.
    fn begin<'py>(
        slf: &Bound<'py, Self>,
        arguments: &Bound<'py, PyTuple>,
        options: &Bound<'py, PyDict>,
        hooks: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        Ok(match Self::way(slf, arguments, options, hooks)? {
            Way::Traced(request) => request.into_any(),
            Way::Plain => false.into_pyobject(py)?.to_owned().into_any(),
            Way::Contribs => py.None().into_bound(py),
        })
    }
}

impl HttpxModule {
    fn way<'py>(
        slf: &Bound<'py, Self>,
        arguments: &Bound<'py, PyTuple>,
        options: &Bound<'py, PyDict>,
        hooks: &Bound<'py, PyTuple>,
    ) -> PyResult<Way<'py>> {
        let (py, names) = (slf.py(), &slf.get().names);
        if !is_http_instrumentation_enabled(py)? {
            return Ok(Way::Plain);
        }
        let module = option(options, intern!(py, "module"))?;
        let Some(request) = known_request(&module, arguments)? else { return Ok(Way::Contribs) };
        if asks_for_more(options, hooks)? {
            return Ok(Way::Contribs);
        }
        let url = names.url_of(&request)?;
        if is_excluded(&url, options)? {
            return Ok(Way::Plain);
        }
        let Some(begun) = names.begun(&request, &url, options)? else { return Ok(Way::Contribs) };
        if let Err(error) = names.inject(&request, &module) {
            return begun.span.leave(py, Err(error));
        }
        Ok(Way::Traced(Bound::new(py, Self::request(slf, options, begun))?))
    }

    fn request<'py>(slf: &Bound<'py, Self>, options: &Bound<'py, PyDict>, begun: Begun<'py>) -> HttpxRequest {
        let Begun { old, new, span, labels } = begun;
        HttpxRequest {
            module: slf.clone().unbind(),
            options: options.clone().unbind(),
            old,
            new,
            span: span.span.clone_ref(slf.py()),
            labels: labels.unbind(),
            open: Mutex::new(Some(Open { span, start: Instant::now() })),
        }
    }
}

/// A request whose span is the current one.
struct Begun<'py> {
    old: bool,
    new: bool,
    span: ClientSpan,
    labels: Bound<'py, PyDict>,
}

/// The first argument, if it is of httpx' own class.
fn known_request<'py>(
    module: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Ok(request) = arguments.get_item(0) else { return Ok(None) };
    let class = module.getattr(intern!(module.py(), "Request"))?;
    Ok(Some(request).filter(|request| request.get_type().is(&class)))
}

fn is_excluded(url: &Bound<'_, PyString>, options: &Bound<'_, PyDict>) -> PyResult<bool> {
    let excluded_urls = option(options, intern!(url.py(), "excluded_urls"))?;
    exclusion(&excluded_urls)?.map_or(Ok(false), |is_excluded| is_excluded.call1((url,))?.is_truthy())
}

/// Whether there are hooks, or headers to capture.
fn asks_for_more(options: &Bound<'_, PyDict>, hooks: &Bound<'_, PyTuple>) -> PyResult<bool> {
    let py = options.py();
    for hook in hooks.iter_borrowed() {
        if options.get_item(hook)?.is_some_and(|hook| !hook.is_none()) {
            return Ok(true);
        }
    }
    for captured in [intern!(py, "captured_request_headers"), intern!(py, "captured_response_headers")] {
        if options.get_item(captured)?.map_or(Ok(false), |captured| captured.is_truthy())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn option<'py>(options: &Bound<'py, PyDict>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    Ok(options.get_item(name)?.unwrap_or_else(|| name.py().None().into_bound(name.py())))
}

impl Names {
    /// None where contrib's own code has to run.
    fn begun<'py>(
        &self,
        request: &Bound<'py, PyAny>,
        url: &Bound<'py, PyString>,
        options: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Begun<'py>>> {
        let py = request.py();
        // Of a host in Punycode httpx has a name of other letters.
        let has_other_letters = url.to_str().is_ok_and(|url| url.contains("://xn--"));
        if has_other_letters || !lists_are_known(py)? || !self.replaceable.get().are_there(py)? {
            return Ok(None);
        }
        let mode = option(options, intern!(py, "sem_conv_opt_in_mode"))?;
        let Some(&Convention { old, new, .. }) = self.conventions.iter().find(|known| mode.is(&known.mode)) else {
            return Ok(None);
        };
        let method = request.getattr(intern!(py, "method"))?;
        let none = py.None().into_bound(py);
        let Some((attributes, labels)) = client_request_attributes(&method, url, &none, old, new, false)? else {
            return Ok(None);
        };
        let tracer = option(options, intern!(py, "tracer"))?;
        let span = ClientSpan::start(&tracer, &method, Some(&attributes))?;
        Ok(span.map(|span| Begun { old, new, span, labels }))
    }

    /// `str(request.url)`.
    fn url_of<'py>(&self, request: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
        let py = request.py();
        let url = request.getattr(intern!(py, "url"))?;
        if self.url.as_ref().is_some_and(|class| url.get_type().is(class))
            && let Ok(parsed) = url.getattr(intern!(py, "_uri_reference"))?.cast::<PyTuple>()
            && self.parsed_url.as_ref().is_some_and(|class| parsed.get_type().is(class))
            && let Some(text) = url_text(parsed)
        {
            return Ok(PyString::new(py, &text));
        }
        url.str()
    }

    /// Names the current span in the request's headers, in a copy of them: contrib leaves the program's own alone.
    fn inject(&self, request: &Bound<'_, PyAny>, module: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = request.py();
        let before = request.getattr(intern!(py, "headers"))?;
        let inject = self.contrib.bind(py).as_any().get_item(intern!(py, "inject"))?;
        if let Some(headers) = self.with_injected(&before, module, &inject)? {
            return request.setattr(intern!(py, "headers"), headers);
        }
        let headers = module.getattr(intern!(py, "Headers"))?.call1((before,))?;
        call::function(&inject, [&headers], None)?;
        request.setattr(intern!(py, "headers"), headers)
    }

    /// The copy, if all of it is httpx's and the API's own way of doing it.
    fn with_injected<'py>(
        &self,
        before: &Bound<'py, PyAny>,
        module: &Bound<'py, PyAny>,
        inject: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = before.py();
        let Some(class) = &self.headers else { return Ok(None) };
        if !before.get_type().is(class) || !module.getattr(intern!(py, "Headers"))?.is(class) {
            return Ok(None);
        }
        let list = intern!(py, "_list");
        let before = before.getattr(list)?;
        let Ok(before) = before.cast_exact::<PyList>() else { return Ok(None) };
        if !is_native_inject(inject) {
            return Ok(None);
        }
        let carrier = PyDict::new(py);
        if !inject_into(&carrier, None)? {
            return Ok(None);
        }
        let headers = self.make.bind(py).call1((class,))?;
        let entries = before.get_slice(0, before.len());
        for (name, value) in carrier {
            let (Ok(name), Ok(value)) = (name.cast::<PyString>(), value.cast::<PyString>()) else { return Ok(None) };
            let (Ok(name), Ok(value)) = (name.to_str(), value.to_str()) else { return Ok(None) };
            set_header(&entries, name.as_bytes(), value.as_bytes())?;
        }
        headers.setattr(list, entries)?;
        headers.setattr(intern!(py, "_encoding"), py.None())?;
        Ok(Some(headers))
    }
}

/// `ParseResult.__str__`; None where Python has to do it.
fn url_text(parsed: &Bound<'_, PyTuple>) -> Option<String> {
    let part = |at| parsed.get_item(at).ok();
    let text = |at| part(at)?.extract::<String>().ok();
    let text_or_none = |at| part(at)?.extract::<Option<String>>().ok();
    let port = part(3)?.extract::<Option<u32>>().ok()?;
    let authority = authority(&text(1)?, &text(2)?, port);
    let mut url = text(0)?;
    if !url.is_empty() {
        url.push(':');
    }
    if !authority.is_empty() {
        url.push_str("//");
        url.push_str(&authority);
    }
    url.push_str(&text(4)?);
    for (mark, part) in [('?', text_or_none(5)?), ('#', text_or_none(6)?)] {
        if let Some(part) = part {
            url.push(mark);
            url.push_str(&part);
        }
    }
    Some(url)
}

/// `ParseResult.authority`.
fn authority(userinfo: &str, host: &str, port: Option<u32>) -> String {
    let mut authority = String::new();
    if !userinfo.is_empty() {
        authority.push_str(userinfo);
        authority.push('@');
    }
    if host.contains(':') {
        authority.extend(["[", host, "]"]);
    } else {
        authority.push_str(host);
    }
    if let Some(port) = port {
        authority.push(':');
        authority.push_str(&port.to_string());
    }
    authority
}

/// `Headers.__setitem__`, of a name in lower case.
fn set_header(entries: &Bound<'_, PyList>, name: &[u8], value: &[u8]) -> PyResult<()> {
    let py = entries.py();
    let key = PyBytes::new(py, name);
    let entry = PyTuple::new(py, [&key, &key, &PyBytes::new(py, value)])?;
    let mut found = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        if entry.get_item(1)?.cast::<PyBytes>().is_ok_and(|known| known.as_bytes() == name) {
            found.push(at);
        }
    }
    let Some((&first, others)) = found.split_first() else { return entries.append(entry) };
    for &at in others.iter().rev() {
        entries.del_item(at)?;
    }
    entries.set_item(first, entry)
}

#[pymethods]
impl HttpxRequest {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.options)?;
        visit.call(&self.span)?;
        visit.call(&self.labels)?;
        match self.open.try_lock() {
            Ok(open) => open.iter().try_for_each(|open| open.span.traverse(&visit)),
            Err(_) => Ok(()),
        }
    }

    /// The request was answered.
    fn finish(&self, response: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = response.py();
        let Some(Open { span, start }) = self.take() else { return Ok(()) };
        let elapsed = start.elapsed().as_secs_f64();
        let observed = self.observe(response).and_then(|()| self.measure(py, elapsed));
        span.leave(py, observed)
    }

    /// The request has failed, or its sending was given up.
    fn fail(&self, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = exception.py();
        let Some(Open { span, .. }) = self.take() else { return Ok(()) };
        let observed = if exception.is_instance_of::<PyException>() { self.observe_failure(exception) } else { Ok(()) };
        match observed {
            Ok(()) => span.leave_with(py, Some(exception)),
            error => span.leave(py, error),
        }
    }
}

impl Drop for HttpxRequest {
    /// Nobody ended it: a signal's handler raised an exception before the request was sent.
    fn drop(&mut self) {
        if let Some(Open { span, .. }) = self.take() {
            // Python deallocates in attached threads; where it cannot be attached, it is going away.
            Python::try_attach(|py| exception::in_destructor(py, || span.leave_with(py, None)));
        }
    }
}

impl HttpxRequest {
    fn take(&self) -> Option<Open> {
        self.open.lock().unwrap_or_else(|e| e.into_inner()).take()
    }

    fn observe(&self, response: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = response.py();
        let (options, labels, span) = (self.options.bind(py), self.labels.bind(py), self.span.bind(py));
        let module = option(options, intern!(py, "module"))?;
        let names = &self.module.get().names;
        if response.get_type().is(module.getattr(intern!(py, "Response"))?) {
            let code = response.getattr(intern!(py, "status_code"))?;
            let version = if self.new { Some(response.getattr(intern!(py, "http_version"))?) } else { None };
            if put_response_code(span, &code, &mut labels.clone(), ERRORS_FROM, self.old, self.new)? {
                return version.map_or(Ok(()), |version| self.put_version(&version));
            }
        }
        names.observe.bind(py).call1((span, response, labels, options)).map(drop)
    }

    /// In the new conventions.
    fn put_version(&self, version: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = version.py();
        let version = version.call_method1(intern!(py, "replace"), ("HTTP/", ""))?;
        if !version.is_truthy()? {
            return Ok(());
        }
        let attributes = PyDict::new(py);
        if self.old {
            attributes.set_item(intern!(py, "http.flavor"), &version)?;
        }
        attributes.set_item(intern!(py, "network.protocol.version"), version)?;
        self.labels.bind(py).update(attributes.as_mapping())?;
        let span = self.span.bind(py);
        if is_recording(span)? {
            span.call_method1(intern!(py, "set_attributes"), (attributes,))?;
        }
        Ok(())
    }

    fn observe_failure(&self, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = exception.py();
        if let Some(response) = exception.getattr_opt(intern!(py, "response"))?.filter(|response| !response.is_none()) {
            self.observe(&response)?;
        }
        let span = self.span.bind(py);
        if self.new && is_recording(span)? {
            span.call_method1(
                intern!(py, "set_attribute"),
                (intern!(py, "error.type"), exception.get_type().qualname()?),
            )?;
        }
        Ok(())
    }

    fn measure(&self, py: Python<'_>, elapsed: f64) -> PyResult<()> {
        let names = &self.module.get().names;
        let histogram = |name| option(self.options.bind(py), name);
        let attributes = Given::Dict(self.labels.bind(py));
        let measurement = |keys| Measurement { attributes, keys, more: None, within: Within::Current };
        let old = histogram(intern!(py, "duration_histogram_old"))?;
        if !old.is_none() {
            measurement(&names.duration_old).record_milliseconds(&old, elapsed)?;
        }
        let new = histogram(intern!(py, "duration_histogram_new"))?;
        if !new.is_none() {
            measurement(&names.duration_new).record_seconds(&new, elapsed)?;
        }
        Ok(())
    }
}
