//! Which measurements may become exemplars, and the span that they were made in.

use otel_rs_core::otlp::Number;
use pyo3::prelude::*;

use crate::convert::fields::number_object;
use crate::py::once::intern;
use crate::py::upstream::{ALWAYS_OFF_FILTER, ALWAYS_ON_FILTER, TRACE_BASED_FILTER, Upstream};
use crate::py::{context, exception, log};
use crate::trace::parent::{ids_of, ids_of_span};
use crate::trace::span_context::SAMPLED;

pub enum ExemplarFilter {
    AlwaysOff,
    AlwaysOn,
    TraceBased,
    /// Anybody's own.
    Python(Py<PyAny>),
}

/// The ids of the span that is current, if there is one.
pub type Span = Option<(u128, u64)>;

/// Which span a measurement is made in.
#[derive(Clone, Copy)]
pub enum Within<'a, 'py> {
    /// The current one.
    Current,
    Span(&'a Bound<'py, PyAny>),
    /// That of a context.
    Context(&'a Bound<'py, PyAny>),
}

impl<'py> Within<'_, 'py> {
    /// The trace id, the span id and the flags.
    #[inline]
    fn ids(self, py: Python<'py>, upstream: &Upstream) -> PyResult<Option<(u128, u64, u8)>> {
        match self {
            Self::Current => ids_of(py, upstream, None),
            Self::Span(span) => ids_of_span(py, upstream, span),
            Self::Context(context) => ids_of(py, upstream, Some(context)),
        }
    }

    #[inline]
    pub fn span(self, py: Python<'py>, upstream: &Upstream) -> PyResult<Span> {
        Ok(self.ids(py, upstream)?.map(|(trace_id, span_id, _)| (trace_id, span_id)))
    }

    pub fn context(self, py: Python<'py>, upstream: &Upstream) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Current => context::current(py, upstream),
            Self::Span(span) => context::with_span(upstream, span),
            Self::Context(context) => Ok(context.clone()),
        }
    }
}

impl ExemplarFilter {
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = object.py();
        let known = [
            (&ALWAYS_OFF_FILTER, Self::AlwaysOff),
            (&ALWAYS_ON_FILTER, Self::AlwaysOn),
            (&TRACE_BASED_FILTER, Self::TraceBased),
        ];
        for (class, filter) in known {
            if object.get_type().is(class.class(py)?.bind(py)) {
                return Ok(filter);
            }
        }
        Ok(Self::Python(object.clone().unbind()))
    }

    /// None if the measurement is not to become an exemplar; a filter or context that raises does not lose it.
    #[inline]
    pub fn sample<'py>(
        &self,
        py: Python<'py>,
        upstream: &Upstream,
        value: Number,
        time: impl FnOnce() -> u64,
        attributes: Option<&Bound<'py, PyAny>>,
        within: Within<'_, 'py>,
    ) -> Option<Span> {
        self.decide(py, upstream, value, time, attributes, within).unwrap_or_else(|error| {
            log::measuring(|| exception::swallow(py, "A measurement becomes no exemplar", error));
            None
        })
    }

    /// Whether it is somebody's own, which sees the attributes.
    pub fn is_python(&self) -> bool {
        matches!(self, Self::Python(_))
    }

    #[inline]
    fn decide<'py>(
        &self,
        py: Python<'py>,
        upstream: &Upstream,
        value: Number,
        time: impl FnOnce() -> u64,
        attributes: Option<&Bound<'py, PyAny>>,
        within: Within<'_, 'py>,
    ) -> PyResult<Option<Span>> {
        match self {
            Self::AlwaysOff => Ok(None),
            Self::TraceBased => {
                let sampled = within.ids(py, upstream)?.filter(|(_, _, flags)| flags & SAMPLED != 0);
                Ok(sampled.map(|(trace_id, span_id, _)| Some((trace_id, span_id))))
            }
            Self::AlwaysOn => Ok(Some(within.span(py, upstream)?)),
            Self::Python(filter) => {
                let given = within.context(py, upstream)?;
                let arguments = (number_object(py, value)?, time(), attributes, &given);
                let sampled = filter.bind(py).call_method1(intern!(py, "should_sample"), arguments)?;
                if !sampled.is_truthy()? {
                    return Ok(None);
                }
                Ok(Some(Within::Context(&given).span(py, upstream)?))
            }
        }
    }
}
