//! Names in headers, which come again with every request: of vendors in `tracestate`, of entries in `baggage`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use crate::py::once::get_or_make;
use crate::py::text;

const PLACES: usize = 64;
const MAX_LEN: usize = 32;

pub static NAMES: Names = Names([const { PyOnceLock::new() }; PLACES]);

/// The first name that belongs in a place stays there, for ever: so a reader needs no lock, and nobody who sends other
/// names makes it larger. Python keeps the hash of a text with it.
pub struct Names([PyOnceLock<Py<PyString>>; PLACES]);

impl Names {
    #[inline]
    pub fn text<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyString>> {
        if name.len() > MAX_LEN {
            return text::new(py, name);
        }
        let place = &self.0[place(name.as_bytes())];
        let kept = get_or_make(py, place, || Ok(text::new(py, name)?.unbind()))?.bind(py);
        if text::plain_utf8(kept) == Some(name) { Ok(kept.clone()) } else { text::new(py, name) }
    }
}

/// Of names that people choose, few share one.
#[inline]
fn place(name: &[u8]) -> usize {
    let [first, last] = [name.first(), name.last()].map(|byte| usize::from(byte.copied().unwrap_or_default()));
    (name.len() ^ first << 1 ^ last << 3) % PLACES
}
