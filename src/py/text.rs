//! Python texts as UTF-8, and objects as text.

use std::borrow::Cow;
use std::ptr;
use std::sync::atomic::{AtomicIsize, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::py::interrupt;

/// The text, if it has a UTF-8 form (lone surrogates have none) and memory for it. Runs no Python code.
#[inline]
pub fn plain_utf8<'a>(text: &'a Bound<'_, PyString>) -> Option<&'a str> {
    // Nearly all texts of telemetry are ASCII, which is kept as it is sent. PyO3 knows the layout up to Python 3.13.
    #[cfg(not(Py_3_14))]
    #[allow(unsafe_code)]
    // SAFETY: `text` is a str or of a subclass. The characters of one that is compact and ASCII, a byte each, follow its
    // header, and neither they nor the header change while it lives.
    unsafe {
        let object = text.as_ptr();
        if ffi::PyUnicode_IS_COMPACT_ASCII(object) != 0 {
            let len = ffi::PyUnicode_GET_LENGTH(object) as usize;
            let characters = std::slice::from_raw_parts(ffi::PyUnicode_1BYTE_DATA(object), len);
            return Some(std::str::from_utf8_unchecked(characters));
        }
    }
    text.to_str().ok()
}

/// Python's own hash of an exact str, which keeps it: equal texts have equal hashes within a process.
#[inline]
pub fn hash(text: &Bound<'_, PyString>) -> u64 {
    debug_assert!(text.is_exact_instance_of::<PyString>());
    const NOT_YET: isize = -1;
    #[allow(unsafe_code)]
    // SAFETY: `text` is an exact str, whose header has the hash. Other threads may be about to store the same one there.
    // Hashing an exact str cannot fail and runs no Python code.
    unsafe {
        let kept = &raw mut (*text.as_ptr().cast::<ffi::PyASCIIObject>()).hash;
        match AtomicIsize::from_ptr(kept).load(Ordering::Relaxed) {
            NOT_YET => ffi::PyObject_Hash(text.as_ptr()) as u64,
            hash => hash as u64,
        }
    }
}

/// The text; each lone surrogate, which has no UTF-8, becomes one U+FFFD. Without memory for its UTF-8, that alone.
pub fn utf8<'a>(text: &'a Bound<'_, PyString>) -> Cow<'a, str> {
    match text.to_str() {
        Ok(utf8) => Cow::Borrowed(utf8),
        // Fails where there is no memory for a copy alone.
        Err(_) => by_characters(text).map_or(Cow::Borrowed("\u{fffd}"), Cow::Owned),
    }
}

#[cold]
fn by_characters(text: &Bound<'_, PyString>) -> PyResult<String> {
    let string = text.py().get_type::<PyString>();
    let encoded = string.call_method1("encode", (text, "utf-32-le", "surrogatepass"))?.cast_into::<PyBytes>()?;
    let characters =
        encoded.as_bytes().chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap_or_default()));
    Ok(characters.map(|character| char::from_u32(character).unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}

/// `PyString::new`, for less where the text is ASCII.
#[inline]
pub fn new<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyString>> {
    of_ascii(py, text.as_bytes()).unwrap_or_else(|| Ok(PyString::new(py, text)))
}

/// None if it is not all ASCII, or so short that Python has it already.
#[inline]
pub fn of_ascii<'py>(py: Python<'py>, text: &[u8]) -> Option<PyResult<Bound<'py, PyString>>> {
    if text.len() < 2 || !text.is_ascii() {
        return None;
    }
    #[allow(unsafe_code)]
    // SAFETY: the result is a new text, or null with an exception set; nobody else has it yet. As no character is above
    // 127, it has a byte for each, of which all are written; a length of Rust's is not above `isize::MAX`.
    unsafe {
        let made = ffi::PyUnicode_New(text.len() as ffi::Py_ssize_t, 127);
        let made = match Bound::from_owned_ptr_or_err(py, made) {
            Ok(made) => made.cast_into_unchecked(),
            Err(error) => return Some(Err(error)),
        };
        ptr::copy_nonoverlapping(text.as_ptr(), ffi::PyUnicode_1BYTE_DATA(made.as_ptr()), text.len());
        Some(Ok(made))
    }
}

/// The name of an object's type. Runs no code of the program's.
pub fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().qualname().map_or_else(|_| "?".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// `str(object)`, or a question mark if that raises.
pub fn text_of<'py>(object: &Bound<'py, PyAny>) -> Bound<'py, PyString> {
    object.str().unwrap_or_else(|error| {
        interrupt::ignore(object.py(), error);
        PyString::intern(object.py(), "?")
    })
}

/// `text_of` for a log line.
pub fn shown(object: &Bound<'_, PyAny>) -> String {
    utf8(&text_of(object)).into_owned()
}
