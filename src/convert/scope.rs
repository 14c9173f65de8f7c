//! Resource and InstrumentationScope objects as encoded messages.

use std::sync::{Arc, Mutex, MutexGuard};

use otel_rs_core::otlp::{self, Resource, Scope, len_tag};
use otel_rs_core::process::Shared;
use pyo3::prelude::*;

use crate::convert::attributes::PyAttributes;
use crate::convert::fields;
use crate::py::once::intern;

const RESOURCE_ATTRIBUTES: u8 = 1;
const SCOPE_ATTRIBUTES: u8 = 3;

/// Providers and processors have few resources, and the same ones.
static RESOURCES: Shared<Resource> = Shared::new();
static SCOPES: Shared<Scope> = Shared::new();

pub fn resource_of(resource: &Bound<'_, PyAny>) -> PyResult<Arc<Resource>> {
    let py = resource.py();
    let mut message = Vec::new();
    if resource.is_none() {
        return Ok(RESOURCES.of(Resource { message, schema_url: String::new() }));
    }
    put_attributes(&resource.getattr(intern!(py, "attributes"))?, RESOURCE_ATTRIBUTES, &mut message);
    message.shrink_to_fit();
    Ok(RESOURCES.of(Resource { message, schema_url: text_of(resource, "schema_url")? }))
}

/// The messages of a scope of a resource; what is None is empty.
pub fn scope_of(resource: &Bound<'_, PyAny>, scope: &Bound<'_, PyAny>) -> PyResult<Arc<Scope>> {
    scope_in(resource_of(resource)?, scope)
}

pub fn scope_in(resource: Arc<Resource>, scope: &Bound<'_, PyAny>) -> PyResult<Arc<Scope>> {
    let mut message = Vec::new();
    if scope.is_none() {
        return Ok(SCOPES.of(Scope { resource, message, schema_url: String::new() }));
    }
    for (field, name) in [(1, "name"), (2, "version")] {
        let text = text_of(scope, name)?;
        if !text.is_empty() {
            otlp::put_bytes(&mut message, len_tag(field), text.as_bytes());
        }
    }
    put_attributes(&scope.getattr(intern!(scope.py(), "attributes"))?, SCOPE_ATTRIBUTES, &mut message);
    message.shrink_to_fit();
    Ok(SCOPES.of(Scope { resource, message, schema_url: text_of(scope, "schema_url")? }))
}

fn put_attributes(attributes: &Bound<'_, PyAny>, field: u8, out: &mut Vec<u8>) {
    if !attributes.is_none() {
        let mut converted = PyAttributes::new(field, None);
        converted.extend(attributes, None);
        converted.wire.write(out);
    }
}

fn text_of(object: &Bound<'_, PyAny>, name: &str) -> PyResult<String> {
    Ok(fields::text(&object.getattr(name)?)?.into_owned())
}

/// Scopes of stock spans and log records, which carry Python objects, kept so that those of one library share a batch's
/// envelope.
#[derive(Default)]
pub struct ScopeCache {
    known: Mutex<Vec<Known>>,
}

struct Known {
    /// Kept alive, so that their addresses stay theirs.
    resource: Py<PyAny>,
    scope: Py<PyAny>,
    encoded: Arc<Scope>,
}

impl ScopeCache {
    /// More than these are not kept; a program has tens of scopes.
    const MAX: usize = 256;

    pub fn get(&self, resource: &Bound<'_, PyAny>, scope: &Bound<'_, PyAny>) -> PyResult<Arc<Scope>> {
        let is = |known: &&Known| known.resource.is(resource) && known.scope.is(scope);
        if let Some(known) = self.lock().iter().find(is) {
            return Ok(Arc::clone(&known.encoded));
        }
        // Encoding runs Python code: not under the lock.
        let same_resource =
            self.lock().iter().find(|known| known.resource.is(resource)).map(|k| k.encoded.resource.clone());
        let encoded = match same_resource {
            Some(encoded) => scope_in(encoded, scope)?,
            None => scope_of(resource, scope)?,
        };
        let encoded = self.same(&encoded).unwrap_or(encoded);
        Ok(self.keep(resource, scope, encoded))
    }

    /// Of objects that may have been changed since they were encoded as `before`.
    pub fn encoded_anew(
        &self,
        resource: &Bound<'_, PyAny>,
        scope: &Bound<'_, PyAny>,
        before: &Arc<Scope>,
    ) -> PyResult<Arc<Scope>> {
        let encoded = scope_of(resource, scope)?;
        if *encoded == **before {
            return Ok(Arc::clone(before));
        }
        Ok(self.same(&encoded).unwrap_or_else(|| self.keep(resource, scope, encoded)))
    }

    /// Objects that say the same are one scope on the wire.
    fn same(&self, encoded: &Scope) -> Option<Arc<Scope>> {
        self.lock().iter().find(|known| *known.encoded == *encoded).map(|known| Arc::clone(&known.encoded))
    }

    fn keep(&self, resource: &Bound<'_, PyAny>, scope: &Bound<'_, PyAny>, encoded: Arc<Scope>) -> Arc<Scope> {
        let known =
            Known { resource: resource.clone().unbind(), scope: scope.clone().unbind(), encoded: Arc::clone(&encoded) };
        let _forgotten = {
            let mut all = self.lock();
            let forgotten = if all.len() >= Self::MAX { std::mem::take(&mut *all) } else { Vec::new() };
            all.push(known);
            forgotten
        };
        encoded
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(|e| e.into_inner())
    }
}
