//! The names of the headers.

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::py::once::intern;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Field {
    TraceParent,
    TraceState,
    Baggage,
}

impl Field {
    pub const fn name(self) -> &'static str {
        match self {
            Self::TraceParent => "traceparent",
            Self::TraceState => "tracestate",
            Self::Baggage => "baggage",
        }
    }

    #[inline]
    pub fn key<'a, 'py>(self, py: Python<'py>) -> &'a Bound<'py, PyString> {
        match self {
            Self::TraceParent => intern!(py, "traceparent"),
            Self::TraceState => intern!(py, "tracestate"),
            Self::Baggage => intern!(py, "baggage"),
        }
    }

    #[inline]
    pub fn environ_key<'a, 'py>(self, py: Python<'py>) -> &'a Bound<'py, PyString> {
        match self {
            Self::TraceParent => intern!(py, "HTTP_TRACEPARENT"),
            Self::TraceState => intern!(py, "HTTP_TRACESTATE"),
            Self::Baggage => intern!(py, "HTTP_BAGGAGE"),
        }
    }
}
