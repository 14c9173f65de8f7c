//! What one collection found, on its way to a native exporter: no Python object for a point.

use std::sync::{Arc, Mutex, MutexGuard};

use otel_rs_core::otlp::{Metric, Resource, ScopeMetrics};
use otel_rs_core::periodic_reader::Found;
use pyo3::prelude::*;

use crate::convert;
use crate::convert::scope::{resource_of, scope_in};

#[pyclass(frozen, module = "otel_rs._native")]
pub struct Collection {
    resource: Arc<Resource>,
    found: Mutex<Found>,
}

#[pymethods]
impl Collection {
    #[new]
    fn new(resource: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self { resource: resource_of(resource)?, found: Mutex::default() })
    }

    /// Adds a metric of upstream's class.
    fn add_metric(&self, scope: &Bound<'_, PyAny>, metric: &Bound<'_, PyAny>) -> PyResult<()> {
        self.add(scope, convert::metrics::metric(metric)?)
    }

    fn __bool__(&self) -> bool {
        let found = self.found();
        !found.scopes.is_empty() || found.lost_points > 0
    }
}

impl Collection {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub fn add(&self, scope: &Bound<'_, PyAny>, metric: Metric) -> PyResult<()> {
        let scope = scope_in(Arc::clone(&self.resource), scope)?;
        let scopes = &mut self.found().scopes;
        match scopes.iter_mut().find(|known| Arc::ptr_eq(&known.scope, &scope)) {
            Some(known) => known.metrics.push(metric),
            None => scopes.push(ScopeMetrics { scope, metrics: vec![metric] }),
        }
        Ok(())
    }

    /// There was no memory for so many points.
    pub fn add_lost(&self, points: usize) {
        self.found().lost_points += points;
    }

    pub fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }

    /// Takes everything out.
    pub fn take(&self) -> Found {
        std::mem::take(&mut *self.found())
    }
}
