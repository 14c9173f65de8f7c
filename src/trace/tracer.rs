//! The tracer: what spans are started with. `start.rs` starts them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use otel_rs_core::otlp::Scope;
use otel_rs_core::process::Published;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::convert::scope::{ScopeCache, scope_of};
use crate::py::upstream::upstream;
use crate::trace::ids::IdGenerator;
use crate::trace::limits::SpanLimits;
use crate::trace::processors::{ProcessorLists, Processors};
use crate::trace::sampler::Sampler;

/// See `opentelemetry.sdk.trace.Tracer`; `otel_rs.trace.Tracer` derives from it and a provider makes it.
#[pyclass(frozen, subclass, module = "otel_rs._native")]
pub struct Tracer {
    enabled: AtomicBool,
    limits: Arc<SpanLimits>,
    instrumentation_scope: Py<PyAny>,
    instrumentation_info: Py<PyAny>,
    /// `opentelemetry.sdk.trace._tracer_metrics`' recorder, where the SDK's internal metrics are on.
    metrics: Option<Py<PyAny>>,
    settings: Published<Settings>,
    /// Of spans whose resource or scope was replaced.
    scopes: ScopeCache,
}

/// What upstream allows to be replaced while spans are started.
///
/// Tracers share what has no Python in it. Each has its own references to Python objects, because the garbage collector
/// wants to visit every reference once.
pub struct Settings {
    sampler_object: Py<PyAny>,
    pub sampler: Arc<Sampler>,
    id_generator_object: Py<PyAny>,
    pub id_generator: IdGenerator,
    pub origin: Arc<SpanOrigin>,
    processors: Py<Processors>,
}

impl Settings {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            sampler_object: self.sampler_object.clone_ref(py),
            sampler: Arc::clone(&self.sampler),
            id_generator_object: self.id_generator_object.clone_ref(py),
            id_generator: self.id_generator.clone_ref(py),
            origin: Arc::clone(&self.origin),
            processors: self.processors.clone_ref(py),
        }
    }
}

/// The resource and the instrumentation scope of spans. A forked child gets a new one.
pub struct SpanOrigin {
    resource: Py<PyAny>,
    pub scope: Arc<Scope>,
}

impl SpanOrigin {
    pub fn resource(&self, py: Python<'_>) -> Py<PyAny> {
        self.resource.clone_ref(py)
    }
}

fn origin(resource: &Bound<'_, PyAny>, scope: &Bound<'_, PyAny>) -> PyResult<Arc<SpanOrigin>> {
    Ok(Arc::new(SpanOrigin { resource: resource.clone().unbind(), scope: scope_of(resource, scope)? }))
}

impl Tracer {
    #[inline]
    pub fn limits(&self) -> &SpanLimits {
        &self.limits
    }

    #[inline]
    pub fn processors(&self) -> &ProcessorLists {
        self.settings.get().processors.get().lists()
    }

    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    #[inline]
    pub fn settings(&self) -> &Settings {
        self.settings.get()
    }

    pub fn metrics(&self) -> Option<&Py<PyAny>> {
        self.metrics.as_ref()
    }

    /// Whether a recorded span has, right after its start, the attributes that it was given: no sampler and no processor
    /// in Python changes them, and none is one too many.
    pub fn keeps_attributes(&self, count: usize) -> bool {
        self.processors().python.is_empty()
            && self.limits.span_attributes.is_none_or(|limit| count <= limit)
            && self.settings().sampler.is_native()
    }

    pub fn resource(&self, py: Python<'_>) -> Py<PyAny> {
        self.settings.get().origin.resource(py)
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
                sampler_object: sampler.clone().unbind(),
                sampler: Sampler::shared(upstream(sampler.py())?, sampler)?,
                id_generator_object: id_generator.clone().unbind(),
                id_generator: IdGenerator::of(id_generator)?,
                origin: origin(resource, instrumentation_scope)?,
                processors,
            }),
            scopes: ScopeCache::default(),
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.metrics)?;
        // Successive settings share some of what did not change; the garbage collector must visit it once.
        let mut seen: Vec<*const ()> = Vec::new();
        let mut is_first = |part: *const ()| {
            let is_first = !seen.contains(&part);
            seen.push(part);
            is_first
        };
        self.settings.try_for_each(|settings| {
            let Settings { sampler_object, sampler, id_generator_object, id_generator, origin, processors } = settings;
            visit.call(sampler_object)?;
            if is_first(Arc::as_ptr(sampler).cast()) {
                sampler.traverse(&visit)?;
            }
            visit.call(id_generator_object)?;
            id_generator.traverse(&visit)?;
            if is_first(Arc::as_ptr(origin).cast()) {
                visit.call(&origin.resource)?;
            }
            visit.call(processors)
        })
    }

    #[getter]
    fn get_sampler(&self, py: Python<'_>) -> Py<PyAny> {
        self.settings.get().sampler_object.clone_ref(py)
    }

    #[setter]
    fn set_sampler(&self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = object.py();
        let sampler = Sampler::shared(upstream(py)?, object)?;
        let sampler_object = object.clone().unbind();
        self.settings.update(|now| Settings { sampler_object, sampler, ..now.clone_ref(py) });
        Ok(())
    }

    #[getter]
    fn get_id_generator(&self, py: Python<'_>) -> Py<PyAny> {
        self.settings.get().id_generator_object.clone_ref(py)
    }

    #[setter]
    fn set_id_generator(&self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = object.py();
        let id_generator = IdGenerator::of(object)?;
        let id_generator_object = object.clone().unbind();
        self.settings.update(|now| Settings { id_generator_object, id_generator, ..now.clone_ref(py) });
        Ok(())
    }

    #[getter(resource)]
    fn get_resource(&self, py: Python<'_>) -> Py<PyAny> {
        self.resource(py)
    }

    /// Spans started from now on are of this resource.
    #[setter(resource)]
    fn set_resource(&self, resource: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = resource.py();
        let origin = origin(resource, self.instrumentation_scope.bind(py))?;
        self.settings.update(|now| Settings { origin, ..now.clone_ref(py) });
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

    fn _set_processors(&self, py: Python<'_>, processors: Py<Processors>) {
        self.settings.update(|now| Settings { processors, ..now.clone_ref(py) });
    }

    fn _is_enabled(&self) -> bool {
        self.is_enabled()
    }

    fn _set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Relaxed);
    }
}
