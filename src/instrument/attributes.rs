//! What the attributes of several instrumentations have in common.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyInt, PyString};

use crate::instrument::collected::Collect;
use crate::instrument::server_span::ours;
use crate::py::once::intern;
use crate::trace::non_recording_span::NonRecordingSpan;
use crate::trace::span::Span;

/// Methods that contrib reports as they are.
pub const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

/// What the user agents of tests and bots have in them, in lower case.
const SYNTHETIC: [&str; 3] = ["alwayson", "googlebot", "bingbot"];

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
    let Some(text) = user_agent.to_str().ok().filter(|text| text.is_ascii()) else { return true };
    // Each has three letters that others seldom have. Without a way out this is done for many bytes at once.
    let letters = |at: usize| text.as_bytes().iter().skip(at).map(|letter| letter | 0x20);
    let is_rare = |(first, (second, third))| {
        (first == b'b') & (second == b'o') & (third == b't') | (first == b'a') & (second == b'l') & (third == b'w')
    };
    if !letters(0).zip(letters(1).zip(letters(2))).fold(false, |any, letters| any | is_rare(letters)) {
        return false;
    }
    let lower = text.to_ascii_lowercase();
    SYNTHETIC.iter().any(|pattern| lower.contains(pattern))
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
pub struct Names<C> {
    pub result: C,
    pub old: bool,
    pub new: bool,
}

impl<C> Names<C> {
    fn wanted<'a, 'py>(
        &self,
        old: &'a Bound<'py, PyString>,
        new: &'a Bound<'py, PyString>,
    ) -> [Option<&'a Bound<'py, PyString>>; 2] {
        [self.old.then_some(old), self.new.then_some(new)]
    }

    /// Neither has a value yet.
    pub fn add<'py>(
        &mut self,
        old: &Bound<'py, PyString>,
        new: &Bound<'py, PyString>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()>
    where
        C: Collect<'py>,
    {
        self.wanted(old, new).into_iter().flatten().try_for_each(|key| self.result.add(key, value))
    }

    pub fn set<'py>(
        &mut self,
        old: &Bound<'py, PyString>,
        new: &Bound<'py, PyString>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()>
    where
        C: Collect<'py>,
    {
        self.wanted(old, new).into_iter().flatten().try_for_each(|key| self.result.set(key, value))
    }

    /// Unless it is missing or empty.
    pub fn set_text<'py>(
        &mut self,
        old: &Bound<'py, PyString>,
        new: &Bound<'py, PyString>,
        text: Option<&Bound<'py, PyString>>,
    ) -> PyResult<()>
    where
        C: Collect<'py>,
    {
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
#[pyfunction(name = "put_response_code")]
pub fn put_response_code_in_dict<'py>(
    span: &Bound<'py, PyAny>,
    code: &Bound<'py, PyAny>,
    mut attributes: Bound<'py, PyDict>,
    errors_from: u32,
    old: bool,
    new: bool,
) -> PyResult<bool> {
    put_response_code(span, code, &mut attributes, errors_from, old, new)
}

pub fn put_response_code<'py>(
    span: &Bound<'py, PyAny>,
    code: &Bound<'py, PyAny>,
    attributes: &mut impl Collect<'py>,
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
        attributes.set(intern!(py, "http.status_code"), code)?;
    }
    if new {
        attributes.set(intern!(py, "http.response.status_code"), code)?;
    }
    Ok(true)
}

/// Whether a span that the tracer has just started with these attributes has them, so that setting them again, as
/// contrib does, would change nothing.
#[pyfunction]
pub fn are_attributes_kept(tracer: &Bound<'_, PyAny>, attributes: &Bound<'_, PyDict>) -> PyResult<bool> {
    Ok(ours(tracer)?.is_some_and(|tracer| tracer.get().keeps_attributes(attributes.len())))
}
