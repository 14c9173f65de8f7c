//! Starts spans: parent, sampler, ids, span.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit};

use crate::convert::log;
use crate::convert::scope::{ScopeCache, scope_of};
use crate::fork;
use crate::otlp::batch::Scope;
use crate::published::Published;
use crate::trace::api::{Api, api, position};
use crate::trace::boundary::contained;
use crate::trace::call;
use crate::trace::context;
use crate::trace::current_span::CurrentSpan;
use crate::trace::exception;
use crate::trace::ids::IdGenerator;
use crate::trace::instantiate;
use crate::trace::non_recording_span::NonRecordingSpan;
use crate::trace::parts::Part;
use crate::trace::processors::{Lists, Processors};
use crate::trace::sampler::{Decision, Question, Sampler, Sampling};
use crate::trace::span::{Span, time_or_now};
use crate::trace::span_context::{RANDOM_TRACE_ID, SAMPLED, SpanContext};
use crate::trace::span_state::State;
use crate::trace::thread_end::outlast_exit;

/// See `opentelemetry.sdk.trace.Tracer`; `otel_rs.trace.Tracer` derives from it and a provider makes it.
#[pyclass(frozen, subclass, module = "otel_rs._native")]
pub struct Tracer {
    enabled: AtomicBool,
    limits: SpanLimits,
    instrumentation_scope: Py<PyAny>,
    instrumentation_info: Py<PyAny>,
    /// `opentelemetry.sdk.trace._tracer_metrics`' recorder, where the SDK's internal metrics are on.
    metrics: Option<Py<PyAny>>,
    settings: Published<Settings>,
    /// Of spans whose resource or scope was replaced.
    scopes: ScopeCache,
}

/// What upstream lets be replaced while spans are started.
#[derive(Clone)]
struct Settings {
    sampler: Arc<Given<Sampler>>,
    id_generator: Arc<Given<IdGenerator>>,
    identity: Arc<Identity>,
    processors: Arc<Py<Processors>>,
}

/// A part that the user gave as a Python object, and what it was recognised as.
struct Given<T> {
    object: Py<PyAny>,
    native: T,
}

/// Who the tracer speaks for. A forked child gets a new one.
pub struct Identity {
    resource: Py<PyAny>,
    pub scope: Arc<Scope>,
}

impl Identity {
    pub fn resource(&self, py: Python<'_>) -> Py<PyAny> {
        self.resource.clone_ref(py)
    }
}

fn given_sampler(sampler: &Bound<'_, PyAny>) -> PyResult<Arc<Given<Sampler>>> {
    let native = Sampler::of(api(sampler.py())?, sampler)?;
    Ok(Arc::new(Given { native, object: sampler.clone().unbind() }))
}

fn given_id_generator(generator: &Bound<'_, PyAny>) -> PyResult<Arc<Given<IdGenerator>>> {
    Ok(Arc::new(Given { native: IdGenerator::of(generator)?, object: generator.clone().unbind() }))
}

fn identity(resource: &Bound<'_, PyAny>, scope: &Bound<'_, PyAny>) -> PyResult<Arc<Identity>> {
    Ok(Arc::new(Identity { resource: resource.clone().unbind(), scope: scope_of(resource, scope)? }))
}

/// `opentelemetry.sdk.trace.SpanLimits`, read once; None is no limit.
pub struct SpanLimits {
    pub events: Option<usize>,
    pub links: Option<usize>,
    pub span_attributes: Option<usize>,
    pub event_attributes: Option<usize>,
    pub link_attributes: Option<usize>,
    /// Characters of a text in an event's or link's attributes.
    pub value_len: Option<usize>,
    /// Characters of a text in the span's own attributes.
    pub span_value_len: Option<usize>,
}

impl SpanLimits {
    fn of(limits: &Bound<'_, PyAny>) -> PyResult<Self> {
        let limit = |name: &str| limits.getattr(name)?.extract();
        Ok(Self {
            events: limit("max_events")?,
            links: limit("max_links")?,
            span_attributes: limit("max_span_attributes")?,
            event_attributes: limit("max_event_attributes")?,
            link_attributes: limit("max_link_attributes")?,
            value_len: limit("max_attribute_length")?,
            span_value_len: limit("max_span_attribute_length")?,
        })
    }
}

/// The generation of processes that providers know of.
static HANDLED_FORKS: AtomicU64 = AtomicU64::new(0);

/// Gives the providers of a forked child their new identity, unless Python's fork hook has done it.
#[cold]
fn after_fork(py: Python<'_>) {
    let generation = fork::generation();
    let refreshed = py.import("otel_rs.trace._provider").and_then(|module| module.call_method0("after_fork"));
    if let Err(error) = refreshed {
        exception::swallow(py, "The resource was not refreshed after a fork", error);
    }
    HANDLED_FORKS.store(generation, Ordering::Relaxed);
}

/// A flag, given as any object that is true or false.
struct Truth(bool);

impl<'py> FromPyObject<'_, 'py> for Truth {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        object.is_truthy().map(Self)
    }
}

/// The arguments of `start_span`, borrowed.
pub struct Start<'a, 'py> {
    pub name: &'a Bound<'py, PyAny>,
    pub context: Option<&'a Bound<'py, PyAny>>,
    pub kind: Option<&'a Bound<'py, PyAny>>,
    pub attributes: Option<&'a Bound<'py, PyAny>>,
    pub links: Option<&'a Bound<'py, PyAny>>,
    pub start_time: Option<&'a Bound<'py, PyAny>>,
    pub record_exception: bool,
    pub set_status_on_exception: bool,
}

impl Tracer {
    #[inline]
    pub fn limits(&self) -> &SpanLimits {
        &self.limits
    }

    #[inline]
    pub fn processors(&self) -> &Lists {
        self.settings.get().processors.get().lists()
    }

    pub fn resource(&self, py: Python<'_>) -> Py<PyAny> {
        self.settings.get().identity.resource(py)
    }

    pub fn scopes(&self) -> &ScopeCache {
        &self.scopes
    }

    pub fn instrumentation_scope(&self, py: Python<'_>) -> Py<PyAny> {
        self.instrumentation_scope.clone_ref(py)
    }

    pub fn instrumentation_info(&self, py: Python<'_>) -> Py<PyAny> {
        self.instrumentation_info.clone_ref(py)
    }

    /// Starts a span whatever happens: should we fail inside, the application goes on with one that does nothing.
    pub fn start_contained<'py>(slf: &Bound<'py, Self>, start: &Start<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        contained(py, "start_span", || Self::start(slf, start), || disabled_span(py, start.context))
    }

    fn start<'py>(slf: &Bound<'py, Self>, start: &Start<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let api = api(py)?;
        let tracer = slf.get();
        if HANDLED_FORKS.load(Ordering::Relaxed) != fork::generation() {
            after_fork(py);
        }
        if !tracer.enabled.load(Ordering::Relaxed) {
            return disabled_span(py, start.context);
        }
        let parent_span = match start.context {
            Some(context) => context::span_of(api, context)?,
            None => context::span_of(api, &context::current(py, api)?)?,
        };
        let parent = match &parent_span {
            Some(span) => identity_of(py, api, span)?,
            None => None,
        };
        let Settings { sampler, id_generator, identity, .. } = tracer.settings.get();
        let ids = &id_generator.native;
        let (trace_id, is_random) = match &parent {
            Some(parent) => (parent.trace_id, parent.flags & RANDOM_TRACE_ID != 0),
            None => ids.trace_id(py),
        };
        let kind = start.kind.map_or(Some(0), |kind| position(&api.kinds, kind));
        let no_links;
        let links = match start.links {
            Some(links) => links,
            None => {
                no_links = PyTuple::empty(py).into_any();
                &no_links
            }
        };
        let question = Question {
            context: start.context,
            parent: parent.as_ref(),
            trace_id,
            name: start.name,
            kind: start.kind.unwrap_or(api.kinds[0].bind(py)),
            attributes: start.attributes,
            links,
        };
        let sampling = match sampler.native.sample(py, api, &question) {
            Ok(sampling) => sampling,
            Err(error) => {
                exception::swallow(py, "The sampler raised, the span is not sampled", error);
                let trace_state = parent.as_ref().and_then(|parent| parent.trace_state.as_ref());
                let trace_state = trace_state.map(|state| state.clone_ref(py));
                Sampling { decision: Decision::Drop, attributes: None, trace_state }
            }
        };
        let mut flags = if sampling.decision == Decision::RecordAndSample { SAMPLED } else { 0 };
        if is_random {
            flags |= RANDOM_TRACE_ID;
        }
        let context = SpanContext::local(trace_id, ids.span_id(py), flags, sampling.trace_state);
        let end_metrics = match &tracer.metrics {
            Some(metrics) => record_start(py, api, metrics, parent.as_ref(), sampling.decision)
                .map_err(|error| exception::swallow(py, "The SDK's own metrics raised", error))
                .ok(),
            None => None,
        };
        if sampling.decision == Decision::Drop {
            return instantiate::non_recording_span(
                py,
                api.our_non_recording_span.bind(py),
                NonRecordingSpan { context },
            );
        }
        let mut state = State::new(start.name.clone().unbind(), tracer.limits.span_attributes);
        if let Some(attributes) = &sampling.attributes
            && !attributes.is_none()
        {
            state.attributes.extend(attributes, tracer.limits.span_value_len);
        }
        let mut span = Span {
            tracer: slf.clone().unbind(),
            identity: Arc::clone(identity),
            context,
            parent,
            kind: kind.unwrap_or_else(|| unknown_kind(py)) as u8,
            start_time: 0,
            record_exception: start.record_exception,
            set_status_on_exception: start.set_status_on_exception,
            end_metrics,
            has_parts: AtomicBool::new(false),
            state: Mutex::new(state),
        };
        if start.links.is_some()
            && let Err(error) = span.add_links(py, api, links)
        {
            exception::swallow(py, "The links were dropped", error);
        }
        // The clock is read last: the span's time is not ours.
        span.start_time = time_or_now(start.start_time);
        let span = instantiate::span(py, api.our_span.bind(py), span)?.into_any();
        let processors = tracer.processors();
        if !processors.python.is_empty() {
            processors.on_start(&span, start.context)?;
        }
        Ok(span)
    }
}

/// The identity of a context's span; None if it is not a span, or not a valid one.
#[inline]
fn identity_of(py: Python<'_>, api: &Api, span: &Bound<'_, PyAny>) -> PyResult<Option<SpanContext>> {
    let native = match span.cast::<Span>() {
        Ok(span) if span.get().part(py, Part::Context).is_some() => None,
        Ok(span) => Some(&span.get().context),
        Err(_) => span.cast::<NonRecordingSpan>().ok().map(|span| &span.get().context),
    };
    if let Some(context) = native {
        return Ok(context.is_valid().then(|| context.clone_ref(py)));
    }
    let context = if span.get_type().is(&api.non_recording_span) {
        // What a propagator puts there for a remote parent: its `get_span_context` returns this.
        span.getattr(intern!(py, "_context"))?
    } else if span.is_instance(api.span.bind(py))? {
        call::method(intern!(py, "get_span_context"), [span], None)?
    } else {
        return Ok(None);
    };
    if context.is_none() {
        return Ok(None);
    }
    if !context.is_instance(api.span_context.bind(py))? {
        return Err(PyTypeError::new_err("parent_span_context must be a SpanContext or None."));
    }
    SpanContext::of_object(py, api, &context)
}

/// Hands on the parent's identity and nothing else.
fn disabled_span<'py>(py: Python<'py>, context: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let trace = py.import("opentelemetry.trace")?;
    let parent = trace.call_method1("get_current_span", (context,))?.call_method0("get_span_context")?;
    trace.getattr("NonRecordingSpan")?.call1((parent,))
}

fn record_start(
    py: Python<'_>,
    api: &Api,
    metrics: &Py<PyAny>,
    parent: Option<&SpanContext>,
    decision: Decision,
) -> PyResult<Py<PyAny>> {
    let parent = parent.map(|parent| parent.object(py, api)).transpose()?;
    metrics.call_method1(py, "start_span", (parent, &api.decisions[decision as usize]))
}

#[cold]
fn unknown_kind(py: Python<'_>) -> usize {
    log::warning(py, "Invalid span kind, expected a SpanKind; INTERNAL is taken.");
    0
}

#[pymethods]
impl Tracer {
    #[new]
    #[pyo3(signature = (sampler, resource, processors, id_generator, instrumentation_info, span_limits,
                        instrumentation_scope, metrics=None, enabled=true))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        sampler: &Bound<'_, PyAny>,
        resource: &Bound<'_, PyAny>,
        processors: Py<Processors>,
        id_generator: &Bound<'_, PyAny>,
        instrumentation_info: Py<PyAny>,
        span_limits: &Bound<'_, PyAny>,
        instrumentation_scope: &Bound<'_, PyAny>,
        metrics: Option<Py<PyAny>>,
        enabled: bool,
    ) -> PyResult<Self> {
        Ok(Self {
            enabled: AtomicBool::new(enabled),
            limits: SpanLimits::of(span_limits)?,
            instrumentation_scope: instrumentation_scope.clone().unbind(),
            instrumentation_info,
            metrics,
            settings: Published::new(Settings {
                sampler: given_sampler(sampler)?,
                id_generator: given_id_generator(id_generator)?,
                identity: identity(resource, instrumentation_scope)?,
                processors: Arc::new(processors),
            }),
            scopes: ScopeCache::default(),
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.metrics)?;
        // Settings that followed one another share what did not change; the collector must see it once.
        let mut seen: Vec<*const ()> = Vec::new();
        let mut is_first = |part: *const ()| {
            let is_first = !seen.contains(&part);
            seen.push(part);
            is_first
        };
        self.settings.try_for_each(|settings| {
            let Settings { sampler, id_generator, identity, processors } = settings;
            if is_first(Arc::as_ptr(sampler).cast()) {
                visit.call(&sampler.object)?;
                sampler.native.traverse(&visit)?;
            }
            if is_first(Arc::as_ptr(id_generator).cast()) {
                visit.call(&id_generator.object)?;
                id_generator.native.traverse(&visit)?;
            }
            if is_first(Arc::as_ptr(identity).cast()) {
                visit.call(&identity.resource)?;
            }
            if is_first(Arc::as_ptr(processors).cast()) {
                visit.call(&**processors)?;
            }
            Ok(())
        })
    }

    /// Starts a span without making it the current one.
    #[pyo3(signature = (name, context=None, kind=None, attributes=None, links=None, start_time=None,
                        record_exception=Truth(true), set_status_on_exception=Truth(true)))]
    #[allow(clippy::too_many_arguments)]
    fn start_span<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyAny>,
        context: Option<&Bound<'py, PyAny>>,
        kind: Option<&Bound<'py, PyAny>>,
        attributes: Option<&Bound<'py, PyAny>>,
        links: Option<&Bound<'py, PyAny>>,
        start_time: Option<&Bound<'py, PyAny>>,
        record_exception: Truth,
        set_status_on_exception: Truth,
    ) -> PyResult<Bound<'py, PyAny>> {
        let start = Start {
            name,
            context,
            kind,
            attributes,
            links,
            start_time,
            record_exception: record_exception.0,
            set_status_on_exception: set_status_on_exception.0,
        };
        Self::start_contained(slf, &start)
    }

    /// A context manager, also a decorator, that starts a span, makes it the current one, and ends it.
    #[pyo3(signature = (name, context=None, kind=None, attributes=None, links=None, start_time=None,
                        record_exception=Truth(true), set_status_on_exception=Truth(true), end_on_exit=Truth(true)))]
    #[allow(clippy::too_many_arguments)]
    fn start_as_current_span(
        slf: &Bound<'_, Self>,
        name: Py<PyAny>,
        context: Option<Py<PyAny>>,
        kind: Option<Py<PyAny>>,
        attributes: Option<Py<PyAny>>,
        links: Option<Py<PyAny>>,
        start_time: Option<Py<PyAny>>,
        record_exception: Truth,
        set_status_on_exception: Truth,
        end_on_exit: Truth,
    ) -> CurrentSpan {
        outlast_exit();
        let tracer = slf.clone().unbind();
        CurrentSpan::new(super::current_span::Arguments {
            tracer,
            name,
            context,
            kind,
            attributes,
            links,
            start_time,
            record_exception: record_exception.0,
            set_status_on_exception: set_status_on_exception.0,
            end_on_exit: end_on_exit.0,
        })
    }

    #[getter]
    fn get_sampler(&self, py: Python<'_>) -> Py<PyAny> {
        self.settings.get().sampler.object.clone_ref(py)
    }

    #[setter]
    fn set_sampler(&self, sampler: &Bound<'_, PyAny>) -> PyResult<()> {
        let sampler = given_sampler(sampler)?;
        self.settings.update(|now| Settings { sampler, ..now.clone() });
        Ok(())
    }

    #[getter]
    fn get_id_generator(&self, py: Python<'_>) -> Py<PyAny> {
        self.settings.get().id_generator.object.clone_ref(py)
    }

    #[setter]
    fn set_id_generator(&self, generator: &Bound<'_, PyAny>) -> PyResult<()> {
        let id_generator = given_id_generator(generator)?;
        self.settings.update(|now| Settings { id_generator, ..now.clone() });
        Ok(())
    }

    #[getter(resource)]
    fn get_resource(&self, py: Python<'_>) -> Py<PyAny> {
        self.resource(py)
    }

    /// Spans started from now on are of this resource.
    #[setter(resource)]
    fn set_resource(&self, resource: &Bound<'_, PyAny>) -> PyResult<()> {
        let identity = identity(resource, self.instrumentation_scope.bind(resource.py()))?;
        self.settings.update(|now| Settings { identity, ..now.clone() });
        Ok(())
    }

    #[getter(instrumentation_info)]
    fn get_instrumentation_info(&self, py: Python<'_>) -> Py<PyAny> {
        self.instrumentation_info(py)
    }

    #[getter]
    fn _instrumentation_scope(&self, py: Python<'_>) -> Py<PyAny> {
        self.instrumentation_scope(py)
    }

    fn _set_processors(&self, processors: Py<Processors>) {
        let processors = Arc::new(processors);
        self.settings.update(|now| Settings { processors, ..now.clone() });
    }

    fn _is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    fn _set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Relaxed);
    }
}
