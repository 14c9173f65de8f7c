//! The methods of the hot path, in the place of those that PyO3 made.

use pyo3::prelude::*;

use crate::trace::current_span::{CurrentSpan, EXIT, START_AS_CURRENT_SPAN};
use crate::trace::span::Span;
use crate::trace::span::attributes::SET_ATTRIBUTE;
use crate::trace::start::START_SPAN;
use crate::trace::tracer::Tracer;

/// Puts them into their classes, before anybody derives from these.
pub fn put_fast_methods(py: Python<'_>) -> PyResult<()> {
    for method in [&START_SPAN, &START_AS_CURRENT_SPAN] {
        method.put_into(&py.get_type::<Tracer>())?;
    }
    SET_ATTRIBUTE.put_into(&py.get_type::<Span>())?;
    EXIT.put_into(&py.get_type::<CurrentSpan>())
}
