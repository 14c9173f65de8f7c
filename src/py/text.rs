//! Python texts as UTF-8, and objects as text.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::py::interrupt;

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
