//! Where a logger's records come from, and where they go, and how much they keep.

use std::sync::Arc;

use otel_rs_core::otlp::{LogRecord, OutOfMemory, Scope};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::convert::scope::scope_of;
use crate::convert::scratch::with_scratch;
use crate::trace::processors::{ProcessorLists, Processors};

/// None is no limit.
pub struct LogRecordLimits {
    pub attributes: Option<usize>,
    /// Characters of a text.
    pub value_len: Option<usize>,
}

/// What changes while a program logs: the resource in a forked child, the processors where somebody replaces them all.
pub struct Origin {
    resource: Py<PyAny>,
    pub scope: Arc<Scope>,
    processors: Py<Processors>,
}

impl Origin {
    pub fn new(resource: &Bound<'_, PyAny>, scope: &Bound<'_, PyAny>, processors: Py<Processors>) -> PyResult<Self> {
        Ok(Self { resource: resource.clone().unbind(), scope: scope_of(resource, scope)?, processors })
    }

    #[inline]
    pub fn processors(&self) -> &ProcessorLists {
        self.processors.get().lists()
    }

    /// Hands a record over to the native processors.
    pub fn push(&self, record: &LogRecord<'_>) {
        let native = &self.processors().native;
        with_scratch(|framed| match record.try_frame(framed) {
            Ok(()) => self.push_framed(framed),
            Err(OutOfMemory) => native.iter().for_each(|processor| processor.drop_unframed()),
        });
    }

    pub fn push_framed(&self, framed: &[u8]) {
        self.processors().native.iter().for_each(|processor| processor.push(&self.scope, framed));
    }

    /// Whether records go to native processors alone, and they take no more.
    pub fn has_ended(&self) -> bool {
        let lists = self.processors();
        lists.python.is_empty() && lists.native.iter().all(|processor| processor.is_shut_down())
    }

    /// Counts a record as one that came after the shutdown.
    pub fn drop_after_shutdown(&self) {
        self.processors().native.iter().for_each(|processor| processor.drop_after_shutdown());
    }

    pub fn with_processors(&self, py: Python<'_>, processors: Py<Processors>) -> Self {
        Self { resource: self.resource.clone_ref(py), scope: Arc::clone(&self.scope), processors }
    }

    pub fn with_resource(&self, resource: &Bound<'_, PyAny>, scope: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::new(resource, scope, self.processors.clone_ref(resource.py()))
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.resource)?;
        visit.call(&self.processors)
    }
}
