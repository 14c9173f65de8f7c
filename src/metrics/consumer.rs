//! What all instruments of a provider share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use otel_rs_core::metrics::Budget;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::convert::fields::{now, number, number_object};
use crate::metrics::exemplar_filter::ExemplarFilter;
use crate::metrics::stock::stock_measurement;

/// `otel_rs.metrics`' consumer derives from it.
#[pyclass(frozen, subclass, module = "otel_rs._native")]
pub struct MeasurementConsumer {
    exemplar_filter: ExemplarFilter,
    budget: Arc<Budget>,
    /// Changes whenever instruments must ask again which streams they have.
    version: AtomicU64,
}

impl MeasurementConsumer {
    #[inline]
    pub fn exemplar_filter(&self) -> &ExemplarFilter {
        &self.exemplar_filter
    }

    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

#[pymethods]
impl MeasurementConsumer {
    #[new]
    fn new(exemplar_filter: &Bound<'_, PyAny>, max_bytes: usize) -> PyResult<Self> {
        Ok(Self {
            exemplar_filter: ExemplarFilter::of(exemplar_filter)?,
            budget: Arc::new(Budget::new(max_bytes)),
            // An instrument that has not asked yet has none.
            version: AtomicU64::new(1),
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.exemplar_filter {
            ExemplarFilter::Python(filter) => visit.call(filter),
            _ => Ok(()),
        }
    }

    /// Readers were added or removed.
    fn _readers_changed(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Upstream's `Measurement` of an observation, made now.
    #[staticmethod]
    #[pyo3(signature = (value, instrument, context, attributes))]
    fn _measurement<'py>(
        value: &Bound<'py, PyAny>,
        instrument: &Bound<'py, PyAny>,
        context: &Bound<'py, PyAny>,
        attributes: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let value = number_object(value.py(), number(value)?)?;
        stock_measurement(&value, now(), instrument, context, attributes)
    }

    /// Measurements that were counted together with others for want of room.
    fn _overflowed(&self) -> u64 {
        self.budget.overflowed()
    }
}

/// Whether the instruments of a meter measure anything.
#[pyclass(frozen, subclass, module = "otel_rs._native")]
pub struct MeterSwitch {
    enabled: AtomicBool,
}

impl MeterSwitch {
    #[inline]
    pub fn is_on(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }
}

#[pymethods]
impl MeterSwitch {
    #[new]
    fn new(enabled: bool) -> Self {
        Self { enabled: AtomicBool::new(enabled) }
    }

    fn _set(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Relaxed);
    }
}
