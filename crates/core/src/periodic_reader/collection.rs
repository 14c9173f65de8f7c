//! What one collection found.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::metrics::{Stream, metric};
use crate::otlp::{Metrics, ResourceMetrics, Scope, ScopeMetrics};

/// A stream, and the scope of its instrument.
pub type Registered = (Arc<Scope>, Arc<Stream>);

/// What somebody else collected, for the same request.
#[derive(Default)]
pub struct Found {
    pub scopes: Vec<ScopeMetrics>,
}

impl Found {
    pub fn add(&mut self, other: Self) {
        self.scopes.extend(other.scopes);
    }
}

/// The points of all streams since the last collection, after those that were found.
///
/// They have the time of this round, not of what was found: that may have waited for the export before it, while new
/// series and new deltas began, and no point ends before it starts.
pub fn collect(streams: &[Registered], found: Found) -> Metrics {
    let Found { mut scopes } = found;
    let time_unix_nano = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
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
