//! Which measurements may become exemplars, and the span that they were made in.

use otel_rs_core::otlp::Number;
use pyo3::prelude::*;

use crate::convert::fields::number_object;
use crate::py::once::intern;
use crate::py::upstream::{ALWAYS_OFF_FILTER, ALWAYS_ON_FILTER, TRACE_BASED_FILTER, Upstream};
use crate::py::{context, exception, log};
use crate::trace::parent::ids_of;
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
        context: Option<&Bound<'py, PyAny>>,
    ) -> Option<Span> {
        self.decide(py, upstream, value, time, attributes, context).unwrap_or_else(|error| {
            log::measuring(|| exception::swallow(py, "A measurement becomes no exemplar", error));
            None
        })
    }

    #[inline]
    fn decide<'py>(
        &self,
        py: Python<'py>,
        upstream: &Upstream,
        value: Number,
        time: impl FnOnce() -> u64,
        attributes: Option<&Bound<'py, PyAny>>,
        context: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Span>> {
        match self {
            Self::AlwaysOff => Ok(None),
            Self::TraceBased => {
                let sampled = ids_of(py, upstream, context)?.filter(|(_, _, flags)| flags & SAMPLED != 0);
                Ok(sampled.map(|(trace_id, span_id, _)| Some((trace_id, span_id))))
            }
            Self::AlwaysOn => Ok(Some(span_of(py, upstream, context)?)),
            Self::Python(filter) => {
                let current;
                let given = match context {
                    Some(context) => context,
                    None => {
                        current = context::current(py, upstream)?;
                        &current
                    }
                };
                let arguments = (number_object(py, value)?, time(), attributes, given);
                let sampled = filter.bind(py).call_method1(intern!(py, "should_sample"), arguments)?;
                if !sampled.is_truthy()? {
                    return Ok(None);
                }
                Ok(Some(span_of(py, upstream, Some(given))?))
            }
        }
    }
}

pub fn span_of<'py>(py: Python<'py>, upstream: &Upstream, context: Option<&Bound<'py, PyAny>>) -> PyResult<Span> {
    Ok(ids_of(py, upstream, context)?.map(|(trace_id, span_id, _)| (trace_id, span_id)))
}
