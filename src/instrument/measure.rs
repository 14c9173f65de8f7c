//! Measurements of what instrumentations observe, with a part of the attributes that they have collected.

use otel_rs_core::otlp::Number;
use pyo3::PyClass;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyInt, PyString, PyTuple, PyType};

use crate::instrument::attributes::selected_attributes;
use crate::instrument::collected::dict_of;
use crate::metrics::exemplar_filter::Within;
use crate::metrics::instrument::{Histogram, Instrument, UpDownCounter};
use crate::metrics::items::{Given, KeySet, with_selected_items};
use crate::propagate::known::KnownClass;
use crate::py::call;
use crate::py::once::intern;
use crate::py::upstream::upstream;

/// The keys of the attributes that a metric has, of those that were collected: a frozenset, or a list of some.
pub struct Keys {
    sets: Vec<KeySet>,
    /// The same.
    originals: Vec<Py<PyFrozenSet>>,
}

impl<'a, 'py> FromPyObject<'a, 'py> for Keys {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let originals: Vec<Py<PyFrozenSet>> = match object.cast::<PyFrozenSet>() {
            Ok(all) => vec![all.to_owned().unbind()],
            Err(_) => object.extract()?,
        };
        let sets = originals.iter().map(|keys| KeySet::of(keys.bind(object.py()))).collect::<PyResult<_>>()?;
        Ok(Self { sets, originals })
    }
}

impl Keys {
    /// The attributes with these keys, those of the first set first.
    pub fn selected<'py>(&self, py: Python<'py>, attributes: Given<'_, 'py>) -> PyResult<Bound<'py, PyDict>> {
        let made;
        let attributes = match attributes {
            Given::Dict(dict) => dict,
            Given::Pairs(pairs) => {
                made = dict_of(py, pairs)?;
                &made
            }
        };
        let selected = PyDict::new(py);
        for keys in &self.originals {
            selected.update(selected_attributes(attributes, keys.bind(py))?.as_mapping())?;
        }
        Ok(selected)
    }
}

/// A measurement by the attributes with these keys, and perhaps by one more.
#[derive(Clone, Copy)]
pub struct Measurement<'a, 'py> {
    pub attributes: Given<'a, 'py>,
    pub keys: &'a Keys,
    pub more: Option<(&'a Bound<'py, PyString>, &'a Bound<'py, PyAny>)>,
    pub within: Within<'a, 'py>,
}

impl<'py> Measurement<'_, 'py> {
    /// `counter.add(amount, attributes)`.
    pub fn add(&self, counter: &Bound<'py, PyAny>, amount: i64) -> PyResult<()> {
        static KNOWN: KnownClass = KnownClass::new(0, |class| has_native::<UpDownCounter>(class, "add"));
        let py = counter.py();
        match native::<UpDownCounter>(&KNOWN, counter, intern!(py, "add"))? {
            Some(native) if self.measure(native, Number::Int(amount))? => Ok(()),
            _ => self.call(intern!(py, "add"), counter, &amount.into_pyobject(py)?.into_any()),
        }
    }

    /// `histogram.record(seconds, attributes, context)`.
    pub fn record_seconds(&self, histogram: &Bound<'py, PyAny>, seconds: f64) -> PyResult<()> {
        self.record(histogram, Number::Double(seconds), || Ok(seconds.into_pyobject(histogram.py())?.into_any()))
    }

    /// The same in milliseconds, rounded as Python does it.
    pub fn record_milliseconds(&self, histogram: &Bound<'py, PyAny>, seconds: f64) -> PyResult<()> {
        self.record_integer(histogram, (seconds * 1000.0).round_ties_even() as i64)
    }

    /// `histogram.record(size, attributes, context)`, of whatever a header says.
    pub fn record_size(&self, histogram: &Bound<'py, PyAny>, size: &Bound<'py, PyAny>) -> PyResult<()> {
        match size.extract() {
            Ok(bytes) if size.is_exact_instance_of::<PyInt>() => self.record_integer(histogram, bytes),
            _ => self.call(intern!(size.py(), "record"), histogram, size),
        }
    }

    fn record_integer(&self, histogram: &Bound<'py, PyAny>, amount: i64) -> PyResult<()> {
        self.record(histogram, Number::Int(amount), || Ok(amount.into_pyobject(histogram.py())?.into_any()))
    }

    /// `object`: the amount as Python has it.
    fn record(
        &self,
        histogram: &Bound<'py, PyAny>,
        amount: Number,
        object: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        static KNOWN: KnownClass = KnownClass::new(0, |class| has_native::<Histogram>(class, "record"));
        let py = histogram.py();
        match native::<Histogram>(&KNOWN, histogram, intern!(py, "record"))? {
            Some(native) if self.measure(native, amount)? => Ok(()),
            _ => self.call(intern!(py, "record"), histogram, &object()?),
        }
    }

    /// False, and nothing was measured, where other code has to see the measurement.
    fn measure(&self, instrument: &Bound<'py, Instrument>, amount: Number) -> PyResult<bool> {
        Instrument::measure_in(instrument, amount, self.within, |take| {
            with_selected_items(instrument.py(), self.attributes, &self.keys.sets, self.more, take)
        })
    }

    #[cold]
    fn call(
        &self,
        method: &Bound<'py, PyString>,
        instrument: &Bound<'py, PyAny>,
        amount: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = instrument.py();
        let labels = self.keys.selected(py, self.attributes)?;
        if let Some((key, value)) = self.more {
            labels.set_item(key, value)?;
        }
        if let Within::Current = self.within {
            return call::method(method, [instrument, amount, labels.as_any()], None).map(drop);
        }
        let within = self.within.context(py, upstream(py)?)?;
        let names = PyTuple::new(py, [intern!(py, "context")])?;
        call::method(method, [instrument, amount, labels.as_any(), &within], Some(&names)).map(drop)
    }
}

/// The instrument, if it is one of ours and nobody has put another method in the place of its own.
fn native<'a, 'py, T: PyClass>(
    known: &KnownClass,
    instrument: &'a Bound<'py, PyAny>,
    method: &Bound<'py, PyString>,
) -> PyResult<Option<&'a Bound<'py, Instrument>>> {
    if !known.is_set() && instrument.is_instance_of::<T>() {
        known.set(&instrument.get_type());
    }
    let Some(attributes) = known.any_attributes_of(instrument) else { return Ok(None) };
    if attributes.contains(method)? {
        return Ok(None);
    }
    Ok(instrument.cast::<Instrument>().ok())
}

/// Whether a class has a method from this native class.
fn has_native<T: PyClass>(class: &Bound<'_, PyType>, method: &str) -> PyResult<bool> {
    let py = class.py();
    let found = class.getattr(method)?;
    let is_native = found.get_type().name()? == "method_descriptor";
    Ok(is_native && found.getattr("__objclass__")?.is(py.get_type::<T>()))
}
