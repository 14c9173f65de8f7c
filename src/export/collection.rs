//! What one collection found, on its way to a native exporter: no Python object for a point.

use std::sync::{Arc, Mutex, MutexGuard};

use otel_rs_core::otlp::{Metric, Metrics, Resource, ResourceMetrics, ScopeMetrics};
use otel_rs_core::periodic_reader::Found;
use pyo3::prelude::*;

use crate::convert;
use crate::convert::scope::{resource_of, scope_in};

#[pyclass(frozen, module = "otel_rs._native")]
pub struct Collection {
    resource: Arc<Resource>,
    scopes: Mutex<Vec<ScopeMetrics>>,
}

#[pymethods]
impl Collection {
    #[new]
    fn new(resource: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self { resource: resource_of(resource)?, scopes: Mutex::default() })
    }

    /// Adds a metric of upstream's class.
    fn add_metric(&self, scope: &Bound<'_, PyAny>, metric: &Bound<'_, PyAny>) -> PyResult<()> {
        self.add(scope, convert::metrics::metric(metric)?)
    }

    fn __bool__(&self) -> bool {
        !self.scopes().is_empty()
    }
}

impl Collection {
    fn scopes(&self) -> MutexGuard<'_, Vec<ScopeMetrics>> {
        self.scopes.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub fn add(&self, scope: &Bound<'_, PyAny>, metric: Metric) -> PyResult<()> {
        let scope = scope_in(Arc::clone(&self.resource), scope)?;
        let mut scopes = self.scopes();
        match scopes.iter_mut().find(|known| Arc::ptr_eq(&known.scope, &scope)) {
            Some(known) => known.metrics.push(metric),
            None => scopes.push(ScopeMetrics { scope, metrics: vec![metric] }),
        }
        Ok(())
    }

    /// Takes everything out.
    pub fn take(&self) -> Metrics {
        Metrics {
            resources: vec![ResourceMetrics { resource: Arc::clone(&self.resource), scopes: self.take_found().scopes }],
        }
    }

    /// The same for a native reader, which collects the rest.
    pub fn take_found(&self) -> Found {
        Found { scopes: std::mem::take(&mut *self.scopes()) }
    }
}
