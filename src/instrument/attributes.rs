//! What the attributes of several instrumentations have in common.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyInt, PyString};

use crate::py::once::intern;
use crate::trace::non_recording_span::NonRecordingSpan;
use crate::trace::span::Span;
use crate::trace::tracer::Tracer;
use crate::trace::{classes, methods};

/// Methods that contrib reports as they are.
pub const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

/// What the user agents of tests and bots have in them, in lower case.
const SYNTHETIC: [&[u8]; 3] = [b"alwayson", b"googlebot", b"bingbot"];

#[inline]
pub fn is_known_method(method: &Bound<'_, PyString>) -> bool {
    method.to_str().is_ok_and(|method| METHODS.contains(&method))
}

/// Whether the text may be of a test or a bot, or something else that upstream's own code has to look at.
#[pyfunction(name = "may_be_synthetic")]
pub fn user_agent_may_be_synthetic(user_agent: &Bound<'_, PyAny>) -> bool {
    user_agent.cast_exact::<PyString>().map_or(true, may_be_synthetic)
}

/// Whether a user agent may be one of a test or a bot. Other letters than ASCII's may have one of those in lower case.
pub fn may_be_synthetic(user_agent: &Bound<'_, PyString>) -> bool {
    let Some(bytes) = user_agent.to_str().ok().filter(|text| text.is_ascii()).map(str::as_bytes) else { return true };
    let starts_here = |at: usize| {
        SYNTHETIC
            .iter()
            .any(|pattern| bytes.get(at..at + pattern.len()).is_some_and(|found| found.eq_ignore_ascii_case(pattern)))
    };
    (0..bytes.len()).any(|at| matches!(bytes[at] | 0x20, b'a' | b'g' | b'b') && starts_here(at))
}

/// The attributes whose keys are among `keys`, in their order.
#[pyfunction]
pub fn selected_attributes<'py>(
    attributes: &Bound<'py, PyDict>,
    keys: &Bound<'py, PyFrozenSet>,
) -> PyResult<Bound<'py, PyDict>> {
    let selected = PyDict::new(attributes.py());
    // A copy: another thread may change it meanwhile, and so may a key's `__eq__`.
    for (key, value) in attributes.copy()? {
        if keys.contains(&key)? {
            selected.set_item(key, value)?;
        }
    }
    Ok(selected)
}

/// Attributes that are collected, under the names that were asked for.
pub struct Names<'py> {
    pub result: Bound<'py, PyDict>,
    pub old: bool,
    pub new: bool,
}

impl<'py> Names<'py> {
    pub fn set(
        &self,
        old: &Bound<'py, PyString>,
        new: &Bound<'py, PyString>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        if self.old {
            self.result.set_item(old, value)?;
        }
        if self.new {
            self.result.set_item(new, value)?;
        }
        Ok(())
    }

    /// Unless it is missing or empty.
    pub fn set_text(
        &self,
        old: &Bound<'py, PyString>,
        new: &Bound<'py, PyString>,
        text: Option<&Bound<'py, PyString>>,
    ) -> PyResult<()> {
        match text {
            Some(text) if !text.is_empty()? => self.set(old, new, text),
            _ => Ok(()),
        }
    }
}

/// Parameters whose values contrib redacts.
const REDACTED: [&str; 4] = ["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"];

/// Whether contrib may redact one of a URL's parameters.
pub fn has_secret(query: &str) -> bool {
    query.split('&').any(|parameter| {
        let name = parameter.split('=').next().unwrap_or_default();
        name.contains('%') || REDACTED.contains(&name)
    })
}

/// Puts the code of a response that is no error into a recorded span.
pub fn set_response_code(span: &Bound<'_, Span>, code: &Bound<'_, PyAny>, old: bool, new: bool) -> PyResult<()> {
    let py = span.py();
    if old {
        span.get().set_one(py, intern!(py, "http.status_code"), code)?;
    }
    if new {
        span.get().set_one(py, intern!(py, "http.response.status_code"), code)?;
    }
    Ok(())
}

/// Whether contrib makes a span unset for this code: no error, which begins with 500 for a server and with 400 for a
/// client.
pub fn is_usual_code(code: &Bound<'_, PyAny>, errors_from: u32) -> bool {
    code.is_exact_instance_of::<PyInt>() && code.extract().is_ok_and(|code: u32| (100..errors_from).contains(&code))
}

/// Puts the code of a response that is no error into its span, unless that has ended, and into the attributes of
/// metrics. Of any other code, and of another's span, it returns false.
#[pyfunction]
pub fn put_response_code(
    span: &Bound<'_, PyAny>,
    code: &Bound<'_, PyAny>,
    attributes: &Bound<'_, PyDict>,
    errors_from: u32,
    old: bool,
    new: bool,
) -> PyResult<bool> {
    let py = span.py();
    if !is_usual_code(code, errors_from) {
        return Ok(false);
    }
    match span.cast::<Span>() {
        Ok(span) if !span.get().has_ended() => set_response_code(span, code, old, new)?,
        Ok(_) => {}
        Err(_) if span.is_instance_of::<NonRecordingSpan>() => {}
        Err(_) => return Ok(false),
    }
    if old {
        attributes.set_item(intern!(py, "http.status_code"), code)?;
    }
    if new {
        attributes.set_item(intern!(py, "http.response.status_code"), code)?;
    }
    Ok(true)
}

/// Whether a span that the tracer has just started with these attributes has them, so that setting them again, as
/// contrib does, would change nothing.
#[pyfunction]
pub fn are_attributes_kept(tracer: &Bound<'_, PyAny>, attributes: &Bound<'_, PyDict>) -> PyResult<bool> {
    let Ok(ours) = tracer.cast::<Tracer>() else { return Ok(false) };
    let is_ours = tracer.get_type().is(classes::tracer(tracer.py())?) && !methods::are_looked_up();
    Ok(is_ours && ours.get().keeps_attributes(attributes.len()))
}
