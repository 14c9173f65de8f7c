//! A Python value as an encoded AnyValue message, with the Python SDK's rules for what is accepted and how it is
//! cleaned (`opentelemetry.attributes._clean_attribute_value`).

use otel_rs_core::otlp::{self, OutOfMemory, Scalar, any_value, len_tag};
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PySlice, PyString, PyTuple};

use crate::py::exception;
use crate::py::log;
use crate::py::once::get_or_make;
use crate::py::text;

/// A receiver may refuse messages nested deeper than 100; a mapping takes three levels, the span's own place six.
/// Deeper values are kept as text.
const MAX_DEPTH: usize = 30;

/// Values in one attribute or body, nested ones included. Containers that share others can unfold to far more than they
/// are.
const MAX_VALUES: usize = 1_000_000;

/// Bytes in one attribute, as much as a queue holds by default.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Below this no memory is asked for that may not be there.
const LARGE_BYTES: usize = 64 * 1024;

/// Tags and lengths around a value that is as deep as it may be: three for each level.
const HEADS: usize = 3 * 11 * (MAX_DEPTH + 1);

/// Replaces a container that is nested too deep or contains itself; its own text could be of any length.
const NOT_SHOWN: &str = "...";

/// How to treat keys that are not text and values that OTLP has no type for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// As `opentelemetry.attributes` cleans them, with its warnings.
    Attribute,
    /// As a log record's body, which may be anything: takes their text.
    Body,
}

/// One value's conversion under way.
struct Nesting {
    max_len: Option<usize>,
    rules: Rules,
    values: usize,
    /// Addresses of the containers that the current value is in.
    within: Vec<usize>,
}

impl Nesting {
    fn new(max_len: Option<usize>, rules: Rules) -> Self {
        Self { max_len, rules, values: 0, within: Vec::new() }
    }

    /// Counts one value that `out` gets, or has got.
    fn count_in(&mut self, out: &mut Vec<u8>) -> PyResult<()> {
        self.count(out.len())?;
        // Heads and numbers are written without a look at the room there is.
        if out.len() >= LARGE_BYTES { make_room(out, LARGE_BYTES) } else { Ok(()) }
    }

    /// Counts one value, which makes `bytes` in all.
    fn count(&mut self, bytes: usize) -> PyResult<()> {
        self.values += 1;
        if self.values > MAX_VALUES || bytes > MAX_BYTES {
            let message = format!("more than {MAX_VALUES} values or {MAX_BYTES} bytes in one value");
            return Err(PyValueError::new_err(message));
        }
        Ok(())
    }

    /// Whether a container is nested too deep, or contains itself.
    fn ends_at(&self, container: &Bound<'_, PyAny>) -> bool {
        self.within.len() >= MAX_DEPTH || self.within.contains(&(container.as_ptr() as usize))
    }

    fn inside<R>(&mut self, container: &Bound<'_, PyAny>, work: impl FnOnce(&mut Self) -> PyResult<R>) -> PyResult<R> {
        self.within.push(container.as_ptr() as usize);
        let result = work(self);
        self.within.pop();
        result
    }
}

/// How well the wire form holds the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fidelity {
    Exact,
    /// An integer beyond 64 bits became text, or a lone surrogate was replaced.
    Lossy,
}

impl Fidelity {
    fn and(self, other: Self) -> Self {
        if self == Self::Exact { other } else { self }
    }
}

/// Appends `value` to `out` if that needs no Python code; false, with `out` as it was, if it does.
#[inline]
pub fn put_simple(value: &Bound<'_, PyAny>, max_len: Option<usize>, out: &mut Vec<u8>) -> bool {
    let Some(scalar) = scalar(value, max_len) else { return false };
    // Heads of the containers that it is in come on top.
    let len = scalar.encoded_len();
    if otlp::make_room(out, if len < LARGE_BYTES { len } else { len + HEADS }).is_err() {
        return false;
    }
    scalar.encode(out);
    true
}

/// The value, borrowed, if no Python code is needed for it.
///
/// While it succeeds no other code can run on this thread, so a caller may be iterating over a container.
#[inline(always)]
pub fn scalar<'a>(value: &'a Bound<'_, PyAny>, max_len: Option<usize>) -> Option<Scalar<'a>> {
    if let Ok(text) = value.cast_exact::<PyString>() {
        // UTF-8 has at least as many bytes as characters, so a text of so few bytes is short enough.
        let utf8 = text::plain_utf8(text)?;
        return (utf8.len() <= max_len.unwrap_or(MAX_BYTES)).then_some(Scalar::Text(utf8));
    }
    if let Ok(int) = value.cast_exact::<PyInt>() {
        return as_i64(int).map(Scalar::Int);
    }
    if let Ok(flag) = value.cast_exact::<PyBool>() {
        return Some(Scalar::Bool(flag.is_true()));
    }
    if let Ok(float) = value.cast_exact::<PyFloat>() {
        return Some(Scalar::Double(float.value()));
    }
    if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        return Some(Scalar::Bytes(bytes.as_bytes()));
    }
    value.is_none().then_some(Scalar::Null)
}

/// Makes room in `out`, or raises MemoryError.
fn make_room(out: &mut Vec<u8>, len: usize) -> PyResult<()> {
    otlp::make_room(out, len).map_err(exception::out_of_memory)
}

/// Appends bytes of any length, and leaves room for the heads of the containers that they are in.
#[inline]
fn put_large(bytes: &[u8], field: u8, out: &mut Vec<u8>) -> Result<(), OutOfMemory> {
    otlp::make_room(out, if bytes.len() < LARGE_BYTES { bytes.len() + 11 } else { bytes.len() + HEADS })?;
    otlp::put_bytes(out, len_tag(field), bytes);
    Ok(())
}

/// The integer, or None beyond 64 bits.
#[inline]
pub fn as_i64(int: &Bound<'_, PyInt>) -> Option<i64> {
    let mut overflow = 0;
    #[allow(unsafe_code)]
    // SAFETY: `int` is an int, so the call can only fail by overflow, which it reports without an exception.
    let value = unsafe { pyo3::ffi::PyLong_AsLongLongAndOverflow(int.as_ptr(), &mut overflow) };
    (overflow == 0).then_some(value)
}

/// Appends any value. Runs Python code if the value is not a plain one; fails only if that code raises, or the
/// value unfolds beyond the limits.
pub fn put_value(value: &Bound<'_, PyAny>, max_len: Option<usize>, out: &mut Vec<u8>) -> PyResult<Fidelity> {
    put_nested(value, &mut Nesting::new(max_len, Rules::Attribute), out)
}

/// Appends the body of a log record: as `put_value`, but any object is accepted.
pub fn put_body(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    put_nested(value, &mut Nesting::new(None, Rules::Body), out).map(|_| ())
}

fn put_nested(value: &Bound<'_, PyAny>, nesting: &mut Nesting, out: &mut Vec<u8>) -> PyResult<Fidelity> {
    let start = out.len();
    if put_simple(value, nesting.max_len, out) {
        nesting.count_in(out)?;
        return Ok(Fidelity::Exact);
    }
    out.truncate(start);
    nesting.count_in(out)?;
    // From here on subclasses count as well; bool is an int to Python and comes first.
    if let Ok(flag) = value.cast::<PyBool>() {
        Scalar::Bool(flag.is_true()).encode(out);
    } else if let Ok(int) = value.cast::<PyInt>() {
        return put_any_int(int, out);
    } else if let Ok(float) = value.cast::<PyFloat>() {
        Scalar::Double(float.value()).encode(out);
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        put_large(bytes.as_bytes(), any_value::BYTES, out).map_err(exception::out_of_memory)?;
    } else if let Ok(text) = value.cast::<PyString>() {
        return put_text(text, nesting.max_len, out);
    } else if let Some(container) = Container::of(value)? {
        if nesting.ends_at(value) {
            otlp::put_bytes(out, len_tag(any_value::STRING), NOT_SHOWN.as_bytes());
            return Ok(Fidelity::Lossy);
        }
        return nesting.inside(value, |nesting| match container {
            Container::Sequence => put_sequence(value, nesting, out),
            Container::Mapping => put_mapping(value, nesting, out),
        });
    } else if nesting.rules == Rules::Body {
        put_text(&value.str()?, None, out)?;
    } else {
        log::warning(
            value.py(),
            &format!(
                "Invalid type `{}` for attribute value. Expected one of bool, str, None, bytes, int, float or a \
                 Mapping or Sequence of those types. Value's __str__ method will be called if it exists, otherwise \
                 the value will be replaced with None.",
                text::type_name(value)
            ),
        );
        if has_custom_str(value)? {
            put_text(&value.str()?, None, out)?;
        }
    }
    Ok(Fidelity::Exact)
}

fn put_any_int(int: &Bound<'_, PyInt>, out: &mut Vec<u8>) -> PyResult<Fidelity> {
    if let Some(value) = as_i64(int) {
        Scalar::Int(value).encode(out);
        return Ok(Fidelity::Exact);
    }
    // The specification's form for integers beyond 64 bits. `int.__str__` refuses above some thousands of digits,
    // so hexadecimal serves there.
    let py = int.py();
    let text = match py.get_type::<PyInt>().call_method1("__str__", (int,)) {
        Ok(text) => text,
        Err(_) => py.import("builtins")?.call_method1("hex", (int,))?,
    };
    put_text(text.cast::<PyString>()?, None, out)?;
    Ok(Fidelity::Lossy)
}

fn put_text(text: &Bound<'_, PyString>, max_len: Option<usize>, out: &mut Vec<u8>) -> PyResult<Fidelity> {
    let (owned, fidelity);
    let utf8 = match text.to_str() {
        Ok(utf8) => {
            fidelity = Fidelity::Exact;
            utf8
        }
        Err(error) if error.is_instance_of::<PyMemoryError>(text.py()) => return Err(error),
        Err(_) => {
            // Lone surrogates have no UTF-8.
            fidelity = Fidelity::Lossy;
            owned = text::utf8(text);
            &*owned
        }
    };
    let kept = match max_len {
        // A text has at least as many bytes as characters.
        Some(max) if utf8.len() > max => match utf8.char_indices().nth(max) {
            Some((end, _)) => {
                log::warning(text.py(), &format!("String attribute value exceeds max length of {max}, truncating."));
                &utf8[..end]
            }
            None => utf8,
        },
        _ => utf8,
    };
    put_large(kept.as_bytes(), any_value::STRING, out).map_err(exception::out_of_memory)?;
    Ok(fidelity)
}

fn put_sequence(value: &Bound<'_, PyAny>, nesting: &mut Nesting, out: &mut Vec<u8>) -> PyResult<Fidelity> {
    let mut fidelity = Fidelity::Exact;
    let start = out.len();
    for item in value.try_iter()? {
        let item_start = out.len();
        fidelity = fidelity.and(put_nested(&item?, nesting, out)?);
        otlp::frame_from(out, item_start, len_tag(1));
    }
    otlp::frame_from(out, start, len_tag(any_value::ARRAY));
    Ok(fidelity)
}

fn put_mapping(value: &Bound<'_, PyAny>, nesting: &mut Nesting, out: &mut Vec<u8>) -> PyResult<Fidelity> {
    let mut fidelity = Fidelity::Exact;
    let start = out.len();
    let pairs = match nesting.rules {
        Rules::Attribute => clean_items(value, Err)?.pairs,
        Rules::Body => items_as_text(value)?,
    };
    for (key, item) in pairs {
        let item_start = out.len();
        let key = text::utf8(&key);
        put_large(key.as_bytes(), 1, out).map_err(exception::out_of_memory)?;
        let value_start = out.len();
        fidelity = fidelity.and(put_nested(&item, nesting, out)?);
        otlp::frame_from(out, value_start, len_tag(2));
        otlp::frame_from(out, item_start, len_tag(1));
    }
    otlp::frame_from(out, start, len_tag(any_value::KVLIST));
    Ok(fidelity)
}

/// The pairs of a mapping, with `str()` of their keys.
fn items_as_text<'py>(mapping: &Bound<'py, PyAny>) -> PyResult<Vec<(Bound<'py, PyString>, Bound<'py, PyAny>)>> {
    let pair = |item: PyResult<Bound<'py, PyAny>>| {
        let (key, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = item?.extract()?;
        Ok((key.str()?, value))
    };
    mapping.call_method0("items")?.try_iter()?.map(pair).collect()
}

/// The value as upstream keeps it: texts cut, sequences as tuples, mappings copied. For the few that the wire form
/// cannot hold exactly.
pub fn clean<'py>(value: &Bound<'py, PyAny>, max_len: Option<usize>) -> PyResult<Bound<'py, PyAny>> {
    clean_nested(value, &mut Nesting::new(max_len, Rules::Attribute))
}

fn clean_nested<'py>(value: &Bound<'py, PyAny>, nesting: &mut Nesting) -> PyResult<Bound<'py, PyAny>> {
    nesting.count(0)?;
    let py = value.py();
    if let Ok(text) = value.cast::<PyString>() {
        return match nesting.max_len {
            Some(max) if text.len()? > max => text.get_item(PySlice::new(py, 0, max as isize, 1)),
            _ => Ok(value.clone()),
        };
    }
    let is_number = value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>();
    if value.is_none() || is_number || value.is_instance_of::<PyBytes>() {
        return Ok(value.clone());
    }
    if let Some(container) = Container::of(value)? {
        if nesting.ends_at(value) {
            return Ok(PyString::new(py, NOT_SHOWN).into_any());
        }
        return nesting.inside(value, |nesting| match container {
            Container::Sequence => {
                let items = value.try_iter()?.map(|item| clean_nested(&item?, nesting));
                Ok(PyTuple::new(py, items.collect::<PyResult<Vec<_>>>()?)?.into_any())
            }
            Container::Mapping => {
                let cleaned = PyDict::new(py);
                for (key, item) in clean_items(value, Err)?.pairs {
                    cleaned.set_item(key, clean_nested(&item, nesting)?)?;
                }
                Ok(cleaned.into_any())
            }
        });
    }
    if has_custom_str(value)? { Ok(value.str()?.into_any()) } else { Ok(py.None().into_bound(py)) }
}

/// The key of a mapping as text, or None if the pair is dropped.
pub fn clean_key<'py>(key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyString>>> {
    if !key.is_truthy()? {
        if log::warns(key.py()) {
            let shown = text::shown(key);
            log::warning(
                key.py(),
                &format!("invalid attribute key `{shown}`. must be non-empty string. Dropping key from attributes."),
            );
        }
        return Ok(None);
    }
    if let Ok(text) = key.cast::<PyString>() {
        return Ok(Some(text.clone()));
    }
    let text = key.str()?;
    log::warning(
        key.py(),
        &format!(
            "Invalid type `{}` for attribute key `{}`, must be a str. Key's `__str__/__repr__` method will be called \
             if it exists, otherwise the key/value pair will be dropped.",
            text::type_name(key),
            text::utf8(&text)
        ),
    );
    Ok(has_custom_str(key)?.then_some(text))
}

/// A mapping's items with their keys cleaned. Of keys that become the same text the last one's value counts.
pub struct CleanItems<'py> {
    pub pairs: Vec<(Bound<'py, PyString>, Bound<'py, PyAny>)>,
    pub dropped: u32,
}

/// `failed` gets what a key's own code raises, and says whether the rest goes on.
pub fn clean_items<'py>(
    mapping: &Bound<'py, PyAny>,
    failed: impl Fn(PyErr) -> PyResult<()>,
) -> PyResult<CleanItems<'py>> {
    let py = mapping.py();
    // A list, since converting a value may change the mapping.
    let items = py.get_type::<PyList>().call1((mapping.call_method0("items")?,))?;
    let mut pairs = Vec::new();
    let (mut dropped, mut all_texts) = (0, true);
    for item in items.try_iter()? {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
        all_texts &= key.is_exact_instance_of::<PyString>();
        match clean_key(&key) {
            Ok(Some(key)) => {
                pairs.try_reserve(1).map_err(|error| exception::out_of_memory(error.into()))?;
                pairs.push((key, value));
            }
            Ok(None) => dropped += 1,
            Err(error) => {
                dropped += 1;
                failed(error)?;
            }
        }
    }
    if !all_texts {
        let by_text = PyDict::new(py);
        for (key, value) in &pairs {
            by_text.set_item(key, value)?;
        }
        dropped += (pairs.len() - by_text.len()) as u32;
        let unique = by_text.iter().map(|(key, value)| Ok((key.cast_into::<PyString>()?, value)));
        pairs = unique.collect::<PyResult<_>>()?;
    }
    Ok(CleanItems { pairs, dropped })
}

enum Container {
    Sequence,
    Mapping,
}

impl Container {
    fn of(value: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        // Without Python code, in which a signal's handler might raise.
        if value.is_exact_instance_of::<PyDict>() {
            return Ok(Some(Self::Mapping));
        }
        if is_sequence(value)? {
            return Ok(Some(Self::Sequence));
        }
        Ok(is_mapping(value)?.then_some(Self::Mapping))
    }
}

/// Whether `str` gives more than the default text with the object's address.
fn has_custom_str(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let object = value.py().get_type::<PyAny>();
    let kind = value.get_type();
    let differs = |name: &str| PyResult::Ok(!kind.getattr(name)?.is(object.getattr(name)?));
    Ok(differs("__str__")? || differs("__repr__")?)
}

fn is_sequence(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static SEQUENCE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        return Ok(true);
    }
    value.is_instance(abc(value.py(), &SEQUENCE, "Sequence")?)
}

pub fn is_mapping(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static MAPPING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if value.is_instance_of::<PyDict>() {
        return Ok(true);
    }
    value.is_instance(abc(value.py(), &MAPPING, "Mapping")?)
}

fn abc<'py>(py: Python<'py>, cell: &'static PyOnceLock<Py<PyAny>>, name: &str) -> PyResult<&'py Bound<'py, PyAny>> {
    let import = || Ok(py.import("collections.abc")?.getattr(name)?.unbind());
    Ok(get_or_make(py, cell, import)?.bind(py))
}
