//! The SDK's own samplers in Rust, recognised from the stock objects; any other one is called as Python.

use std::sync::Arc;

use otel_rs_core::process::Shared;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::py::call;
use crate::py::once::intern;
use crate::py::upstream::{Name, PARENT_BASED_SAMPLERS, RATIO_SAMPLERS, STATIC_SAMPLERS, Upstream, position};
use crate::trace::span_context::SpanContext;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Drop,
    RecordOnly,
    RecordAndSample,
}

impl Decision {
    fn of(py: Python<'_>, upstream: &Upstream, object: &Bound<'_, PyAny>) -> PyResult<Self> {
        match position(&upstream.decisions, object) {
            Some(at) => Ok([Self::Drop, Self::RecordOnly, Self::RecordAndSample][at]),
            // A look-alike: ask it.
            None if object.call_method0(intern!(py, "is_sampled"))?.is_truthy()? => Ok(Self::RecordAndSample),
            None if object.call_method0(intern!(py, "is_recording"))?.is_truthy()? => Ok(Self::RecordOnly),
            None => Ok(Self::Drop),
        }
    }
}

/// Of the stock samplers, which have no Python in them.
static STOCK: Shared<Sampler> = Shared::new();

pub enum Sampler {
    Static(Decision),
    /// Samples if the low 64 bits of the trace id are below the bound.
    TraceIdRatio {
        bound: u128,
    },
    ParentBased(Box<ParentBased>),
    Python(Py<PyAny>),
}

#[derive(PartialEq)]
pub struct ParentBased {
    root: Sampler,
    remote_parent_sampled: Sampler,
    remote_parent_not_sampled: Sampler,
    local_parent_sampled: Sampler,
    local_parent_not_sampled: Sampler,
}

/// What a sampler is asked about.
pub struct SamplingParameters<'a, 'py> {
    pub context: Option<&'a Bound<'py, PyAny>>,
    pub parent: Option<&'a SpanContext>,
    pub trace_id: u128,
    pub name: &'a Bound<'py, PyAny>,
    pub kind: &'a Bound<'py, PyAny>,
    pub attributes: Option<&'a Bound<'py, PyAny>>,
    pub links: &'a Bound<'py, PyAny>,
}

/// What a sampler answers.
pub struct SamplingResult<'py> {
    pub decision: Decision,
    /// The span's first attributes.
    pub attributes: Option<Bound<'py, PyAny>>,
    /// None stands for the API's empty default.
    pub trace_state: Option<Py<PyAny>>,
}

/// Samplers in Python are equal to none: tracers do not share them, so that the garbage collector finds each reference
/// where it is.
impl PartialEq for Sampler {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Static(one), Self::Static(other)) => one == other,
            (Self::TraceIdRatio { bound: one }, Self::TraceIdRatio { bound: other }) => one == other,
            (Self::ParentBased(one), Self::ParentBased(other)) => one == other,
            _ => false,
        }
    }
}

impl Sampler {
    pub fn shared(upstream: &Upstream, object: &Bound<'_, PyAny>) -> PyResult<Arc<Self>> {
        Ok(STOCK.of(Self::of(upstream, object)?))
    }

    /// Whether no Python code takes part: such samplers leave the attributes as they are.
    pub fn is_native(&self) -> bool {
        match self {
            Self::Static(_) | Self::TraceIdRatio { .. } => true,
            Self::ParentBased(parts) => [
                &parts.root,
                &parts.remote_parent_sampled,
                &parts.remote_parent_not_sampled,
                &parts.local_parent_sampled,
                &parts.local_parent_not_sampled,
            ]
            .iter()
            .all(|part| part.is_native()),
            Self::Python(_) => false,
        }
    }

    fn of(upstream: &Upstream, object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = object.py();
        let class = object.get_type();
        let is_one_of = |names: &[Name]| names.iter().any(|name| name.look_up(py).is_ok_and(|known| class.is(&known)));
        if is_one_of(&STATIC_SAMPLERS) {
            return Ok(Self::Static(Decision::of(py, upstream, &object.getattr("_decision")?)?));
        }
        if is_one_of(&RATIO_SAMPLERS) {
            return Ok(Self::TraceIdRatio { bound: object.getattr("bound")?.extract()? });
        }
        if is_one_of(&PARENT_BASED_SAMPLERS) {
            let part = |name: &str| Self::of(upstream, &object.getattr(name)?);
            return Ok(Self::ParentBased(Box::new(ParentBased {
                root: part("_root")?,
                remote_parent_sampled: part("_remote_parent_sampled")?,
                remote_parent_not_sampled: part("_remote_parent_not_sampled")?,
                local_parent_sampled: part("_local_parent_sampled")?,
                local_parent_not_sampled: part("_local_parent_not_sampled")?,
            })));
        }
        Ok(Self::Python(object.clone().unbind()))
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Python(object) => visit.call(object),
            Self::ParentBased(samplers) => {
                samplers.root.traverse(visit)?;
                samplers.remote_parent_sampled.traverse(visit)?;
                samplers.remote_parent_not_sampled.traverse(visit)?;
                samplers.local_parent_sampled.traverse(visit)?;
                samplers.local_parent_not_sampled.traverse(visit)
            }
            Self::Static(_) | Self::TraceIdRatio { .. } => Ok(()),
        }
    }

    pub fn sample<'py>(
        &self,
        py: Python<'py>,
        upstream: &Upstream,
        parameters: &SamplingParameters<'_, 'py>,
    ) -> PyResult<SamplingResult<'py>> {
        let decision = match self {
            Self::Static(decision) => *decision,
            Self::TraceIdRatio { bound } => {
                if u128::from(parameters.trace_id as u64) < *bound {
                    Decision::RecordAndSample
                } else {
                    Decision::Drop
                }
            }
            Self::ParentBased(samplers) => return samplers.choose(parameters.parent).sample(py, upstream, parameters),
            Self::Python(object) => return should_sample(py, upstream, object.bind(py), parameters),
        };
        Ok(SamplingResult {
            decision,
            attributes: parameters.attributes.cloned(),
            trace_state: parameters
                .parent
                .and_then(|parent| parent.trace_state.as_ref())
                .map(|state| state.clone_ref(py)),
        })
    }
}

impl ParentBased {
    fn choose(&self, parent: Option<&SpanContext>) -> &Sampler {
        match parent {
            None => &self.root,
            Some(parent) => match (parent.is_remote, parent.is_sampled()) {
                (true, true) => &self.remote_parent_sampled,
                (true, false) => &self.remote_parent_not_sampled,
                (false, true) => &self.local_parent_sampled,
                (false, false) => &self.local_parent_not_sampled,
            },
        }
    }
}

fn should_sample<'py>(
    py: Python<'py>,
    upstream: &Upstream,
    sampler: &Bound<'py, PyAny>,
    parameters: &SamplingParameters<'_, 'py>,
) -> PyResult<SamplingResult<'py>> {
    let SamplingParameters { context, trace_id, name, kind, attributes, links, .. } = parameters;
    let none = py.None().into_bound(py);
    let trace_id = trace_id.into_pyobject(py)?.into_any();
    let arguments = [sampler, context.unwrap_or(&none), &trace_id, name, kind, attributes.unwrap_or(&none), links];
    let result = call::method(intern!(py, "should_sample"), arguments, None)?;
    let attributes = result.getattr(intern!(py, "attributes"))?;
    let trace_state = result.getattr(intern!(py, "trace_state"))?;
    let has_state = !trace_state.is_none() && !trace_state.is(&upstream.default_trace_state);
    Ok(SamplingResult {
        decision: Decision::of(py, upstream, &result.getattr(intern!(py, "decision"))?)?,
        attributes: (!attributes.is_none()).then_some(attributes),
        trace_state: has_state.then(|| trace_state.unbind()),
    })
}
