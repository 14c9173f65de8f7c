//! What one collection found.

use std::sync::Arc;

use crate::metrics::{Stream, metric};
use crate::otlp::{Metrics, ResourceMetrics, Scope, ScopeMetrics};

/// A stream, and the scope of its instrument.
pub type Registered = (Arc<Scope>, Arc<Stream>);

/// What somebody else collected, for the same request.
#[derive(Default)]
pub struct Found {
    pub scopes: Vec<ScopeMetrics>,
    pub time_unix_nano: u64,
}

impl Found {
    pub fn add(&mut self, other: Self) {
        self.scopes.extend(other.scopes);
        self.time_unix_nano = self.time_unix_nano.max(other.time_unix_nano);
    }
}

/// The points of all streams since the last collection, after those that were found.
pub fn collect(streams: &[Registered], found: Found) -> Metrics {
    let Found { mut scopes, time_unix_nano } = found;
    for (scope, stream) in streams {
        let Some(metric) = metric(stream, time_unix_nano) else { continue };
        match scopes.iter_mut().find(|known| Arc::ptr_eq(&known.scope, scope)) {
            Some(known) => known.metrics.push(metric),
            None => scopes.push(ScopeMetrics { scope: Arc::clone(scope), metrics: vec![metric] }),
        }
    }
    let mut resources: Vec<ResourceMetrics> = Vec::new();
    for scope in scopes {
        let resource = &scope.scope.resource;
        match resources.iter_mut().find(|known| Arc::ptr_eq(&known.resource, resource)) {
            Some(known) => known.scopes.push(scope),
            None => resources.push(ResourceMetrics { resource: Arc::clone(resource), scopes: vec![scope] }),
        }
    }
    Metrics { resources }
}
