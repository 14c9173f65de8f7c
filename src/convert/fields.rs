//! Python objects as the plain values that messages are made of.

use std::borrow::Cow;
use std::time::Duration;
#[cfg(not(unix))]
use std::time::{SystemTime, UNIX_EPOCH};

use otel_rs_core::otlp::Number;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyInt, PyString};

use crate::py::text::{shown, type_name, utf8};
use crate::py::{exception, interrupt, log};

/// A text as it is, lone surrogates replaced; None as an empty one; `str()` of anything else.
pub fn text<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, str>> {
    if object.is_none() {
        return Ok(Cow::Borrowed(""));
    }
    match object.cast::<PyString>() {
        Ok(text) => Ok(utf8(text)),
        Err(_) => Ok(Cow::Owned(utf8(&object.str()?).into_owned())),
    }
}

/// As `text`; of what raises nothing, and a log line.
pub fn text_if_any<'a>(object: &'a Bound<'_, PyAny>) -> Cow<'a, str> {
    text(object).unwrap_or_else(|error| {
        exception::swallow(object.py(), "A text is left out", error);
        Cow::Borrowed("")
    })
}

/// Nanoseconds; anything that is no number becomes the epoch.
pub fn nanos(object: &Bound<'_, PyAny>) -> u64 {
    object.extract::<u64>().or_else(|_| object.extract::<f64>().map(|nanos| nanos as u64)).unwrap_or(0)
}

/// An int if it is one and fits, else the nearest double. Fails for what is no number.
pub fn number(object: &Bound<'_, PyAny>) -> PyResult<Number> {
    if let Ok(float) = object.cast::<PyFloat>() {
        return Ok(Number::Double(float.value()));
    }
    if object.is_instance_of::<PyInt>()
        && let Ok(int) = object.extract()
    {
        return Ok(Number::Int(int));
    }
    Ok(Number::Double(object.extract()?))
}

pub fn number_object(py: Python<'_>, number: Number) -> PyResult<Bound<'_, PyAny>> {
    match number {
        Number::Int(value) => value.into_bound_py_any(py),
        Number::Double(value) => value.into_bound_py_any(py),
    }
}

pub const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A number of milliseconds; what is negative or not a number is none at all, what is huge a year.
pub fn millis(millis: f64) -> Duration {
    Duration::from_secs_f64((millis / 1e3).clamp(0.0, YEAR.as_secs_f64()).max(0.0))
}

/// The current time, in nanoseconds since the epoch.
#[cfg(not(unix))]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64)
}

/// The current time, in nanoseconds since the epoch. The arithmetic of `SystemTime` costs more than the clock.
#[cfg(unix)]
#[inline]
pub fn now() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    #[allow(unsafe_code)]
    // SAFETY: the pointer is to a local value, which a failing call leaves as it is.
    unsafe {
        libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now);
    }
    // A clock before the epoch shows the epoch, as a duration since then does.
    u64::try_from(now.tv_sec).map_or(0, |seconds| seconds.wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64))
}

/// A time in nanoseconds since the epoch; one that is no number is replaced by the current time, with a log line.
#[inline]
pub fn time_or_now(time: Option<&Bound<'_, PyAny>>) -> u64 {
    time.map_or_else(now, self::time)
}

/// As `time_or_now`, for a time that is given.
pub fn time(time: &Bound<'_, PyAny>) -> u64 {
    if let Ok(nanos) = time.extract::<u64>() {
        return nanos;
    }
    match time.extract::<f64>() {
        // Negative times and NaN become zero, the epoch.
        Ok(nanos) => nanos as u64,
        Err(error) => {
            interrupt::ignore(time.py(), error);
            let message = format!("Invalid time of type `{}`, taking the current one.", type_name(time));
            log::warning(time.py(), &message);
            now()
        }
    }
}

/// A span's or event's name: the object itself if it is a text, else what stock sends for it, or `str` makes of it.
pub fn name<'py>(object: &Bound<'py, PyAny>) -> Bound<'py, PyString> {
    let py = object.py();
    if let Ok(text) = object.cast::<PyString>() {
        text.clone()
    } else if object.is_none() {
        PyString::new(py, "")
    } else if let Ok(bytes) = object.cast::<PyBytes>() {
        PyString::new(py, &String::from_utf8_lossy(bytes.as_bytes()))
    } else {
        PyString::new(py, &shown(object))
    }
}
