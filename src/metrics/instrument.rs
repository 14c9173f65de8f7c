//! Synchronous instruments: what the application measures with.

use std::sync::Arc;

use otel_rs_core::metrics::{Item, Offer, hash_of};
use otel_rs_core::otlp::Number;
use otel_rs_core::process::Published;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::convert::fields::{now, number_object};
use crate::metrics::amount::{amount, is_finite, is_negative};
use crate::metrics::consumer::{MeasurementConsumer, MeterSwitch};
use crate::metrics::exemplar_filter::{Span, Within};
use crate::metrics::items::with_items;
use crate::metrics::stock::stock_measurement;
use crate::metrics::stream::Stream;
use crate::py::boundary::contained;
use crate::py::fork::refresh_after_fork;
use crate::py::once::intern;
use crate::py::text::utf8;
use crate::py::upstream::upstream;
use crate::py::{context, exception, log};

/// What the kinds of instruments have in common. `otel_rs.metrics`' instruments derive from them.
#[pyclass(frozen, subclass, module = "otel_rs._native")]
pub struct Instrument {
    kind: Kind,
    consumer: Py<MeasurementConsumer>,
    switch: Py<MeterSwitch>,
    streams: Published<Streams>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    UpDownCounter,
    Histogram,
    Gauge,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "Counter",
            Self::UpDownCounter => "UpDownCounter",
            Self::Histogram => "Histogram",
            Self::Gauge => "Gauge",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Counter | Self::UpDownCounter => "Add",
            Self::Histogram => "Record",
            Self::Gauge => "Set",
        }
    }

    fn may_be_negative(self) -> bool {
        matches!(self, Self::UpDownCounter | Self::Gauge)
    }
}

const NOT_TAKEN: &str = "A measurement was not taken";

enum Problem {
    NotFinite,
    Negative,
}

/// Where measurements go, as of a version of the consumer.
struct Streams {
    version: u64,
    native: Vec<Arc<otel_rs_core::metrics::Stream>>,
    /// `_ViewInstrumentMatch`es of upstream's, for what is not native.
    stock: Vec<Py<PyAny>>,
}

/// A measurement as the application made it.
struct Measurement<'a, 'py> {
    value: Number,
    attributes: Option<&'a Bound<'py, PyAny>>,
    context: Option<&'a Bound<'py, PyAny>>,
}

impl Instrument {
    fn new(kind: Kind, consumer: Py<MeasurementConsumer>, switch: Py<MeterSwitch>) -> Self {
        let streams = Published::new(Streams { version: 0, native: Vec::new(), stock: Vec::new() });
        Self { kind, consumer, switch, streams }
    }

    /// There is one copy of it for the methods of all kinds.
    #[inline(never)]
    fn measure(
        slf: &Bound<'_, Self>,
        amount: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let measure = || {
            if let Err(error) = Self::measure_now(slf, amount, attributes, context) {
                log::measuring(|| exception::swallow(slf.py(), NOT_TAKEN, error));
            }
            Ok(())
        };
        contained(slf.py(), "measure", measure, || Ok(()))
    }

    #[inline]
    fn measure_now(
        slf: &Bound<'_, Self>,
        object: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if !this.switch.get().is_on() {
            return Ok(());
        }
        refresh_after_fork(py);
        let value = match amount(object) {
            Ok(value) => value,
            Err(error) => return log::measuring(|| Self::refuse(slf, object, error)),
        };
        if !is_finite(value) {
            return log::measuring(|| Self::warn_of(slf, object, Problem::NotFinite));
        }
        if is_negative(value) && !this.kind.may_be_negative() {
            return log::measuring(|| Self::warn_of(slf, object, Problem::Negative));
        }
        let streams = Self::streams(slf)?;
        if streams.native.is_empty() && streams.stock.is_empty() {
            return Ok(());
        }
        let upstream = upstream(py)?;
        // As upstream: an empty context counts as none.
        let context = match context {
            Some(context) if !is_true(context) => None,
            given => given,
        };
        let measurement = Measurement { value, attributes, context };
        // The clock is read once, and only if somebody wants to know.
        let time = std::cell::OnceCell::new();
        let time = || *time.get_or_init(now);
        let within = context.map_or(Within::Current, Within::Context);
        let sampled = this.consumer.get().exemplar_filter().sample(py, upstream, value, time, attributes, within);
        if !streams.stock.is_empty()
            && let Err(error) = Self::measure_stock(slf, streams, &measurement, time(), sampled.is_some())
        {
            log::measuring(|| exception::swallow(py, NOT_TAKEN, error));
        }
        with_items(attributes, |items| measure_natively(&streams.native, items, value, sampled, time));
        log::drain_reports(py);
        Ok(())
    }

    /// Measures for native code, with the attributes that `with_items` calls its argument with. False, and nothing was
    /// measured, where other code than ours has to see the measurement, or `with_items` returns false.
    pub fn measure_in<'py>(
        slf: &Bound<'py, Self>,
        value: Number,
        within: Within<'_, 'py>,
        with_items: impl FnOnce(&mut dyn FnMut(&[Item<'_>])) -> bool,
    ) -> PyResult<bool> {
        let measure = || {
            Self::try_measure(slf, value, within, with_items).or_else(|error| {
                log::measuring(|| exception::swallow(slf.py(), NOT_TAKEN, error));
                Ok(true)
            })
        };
        contained(slf.py(), "measure", measure, || Ok(true))
    }

    #[inline]
    fn try_measure<'py>(
        slf: &Bound<'py, Self>,
        value: Number,
        within: Within<'_, 'py>,
        with_items: impl FnOnce(&mut dyn FnMut(&[Item<'_>])) -> bool,
    ) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        if !this.switch.get().is_on() {
            return Ok(true);
        }
        refresh_after_fork(py);
        // The other way has the words for it.
        if !is_finite(value) || (is_negative(value) && !this.kind.may_be_negative()) {
            return Ok(false);
        }
        let streams = Self::streams(slf)?;
        let filter = this.consumer.get().exemplar_filter();
        if !streams.stock.is_empty() || filter.is_python() {
            return Ok(false);
        }
        if streams.native.is_empty() {
            return Ok(true);
        }
        let time = std::cell::OnceCell::new();
        let time = || *time.get_or_init(now);
        let sampled = filter.sample(py, upstream(py)?, value, time, None, within);
        let is_taken = with_items(&mut |items| measure_natively(&streams.native, items, value, sampled, time));
        log::drain_reports(py);
        Ok(is_taken)
    }

    #[inline]
    fn streams<'a>(slf: &'a Bound<'_, Self>) -> PyResult<&'a Streams> {
        let this = slf.get();
        let streams = this.streams.get();
        if streams.version == this.consumer.get().version() { Ok(streams) } else { Self::refresh(slf) }
    }

    /// Asks the consumer which streams there are.
    #[cold]
    fn refresh<'a>(slf: &'a Bound<'_, Self>) -> PyResult<&'a Streams> {
        let (py, this) = (slf.py(), slf.get());
        let version = this.consumer.get().version();
        let all = this.consumer.bind(py).call_method1(intern!(py, "_streams_of"), (slf,))?;
        let mut streams = Streams { version, native: Vec::new(), stock: Vec::new() };
        for stream in all.try_iter()? {
            let stream = stream?;
            match stream.cast::<Stream>() {
                Ok(native) => streams.native.push(Arc::clone(native.get().inner())),
                Err(_) => streams.stock.push(stream.unbind()),
            }
        }
        this.streams.set(streams);
        Ok(this.streams.get())
    }

    #[cold]
    fn measure_stock(
        slf: &Bound<'_, Self>,
        streams: &Streams,
        measurement: &Measurement<'_, '_>,
        time: u64,
        sampled: bool,
    ) -> PyResult<()> {
        let py = slf.py();
        let upstream = upstream(py)?;
        let given = match measurement.context {
            Some(context) => context.clone(),
            None => context::current(py, upstream)?,
        };
        let value = number_object(py, measurement.value)?;
        let made = stock_measurement(&value, time, slf, &given, measurement.attributes)?;
        for stream in &streams.stock {
            let consumed = stream.bind(py).call_method1(intern!(py, "consume_measurement"), (&made, sampled));
            if let Err(error) = consumed {
                log::measuring(|| exception::swallow(py, NOT_TAKEN, error));
            }
        }
        Ok(())
    }

    #[cold]
    fn refuse(slf: &Bound<'_, Self>, object: &Bound<'_, PyAny>, error: PyErr) -> PyResult<()> {
        let message = format!("{} dropped", Self::what(slf, object)?);
        exception::swallow(slf.py(), &message, error);
        Ok(())
    }

    /// With upstream's words.
    #[cold]
    fn warn_of(slf: &Bound<'_, Self>, object: &Bound<'_, PyAny>, problem: Problem) -> PyResult<()> {
        let kind = slf.get().kind;
        let name = slf.getattr(intern!(slf.py(), "name"))?.str()?;
        let (verb, kind, name) = (kind.verb(), kind.name(), utf8(&name));
        let message = match problem {
            Problem::NotFinite => {
                let amount = object.str()?;
                format!("{verb} amount {} is not finite on {kind} {name}, ignoring measurement.", utf8(&amount))
            }
            Problem::Negative => format!("{verb} amount must be non-negative on {kind} {name}."),
        };
        log::warning(slf.py(), &message);
        Ok(())
    }

    fn what(slf: &Bound<'_, Self>, object: &Bound<'_, PyAny>) -> PyResult<String> {
        let name = slf.getattr(intern!(slf.py(), "name"))?.str()?;
        let kind = slf.get().kind;
        let given = object.get_type().name()?;
        Ok(format!("{} amount of type {} on {} {}", kind.verb(), utf8(&given), kind.name(), utf8(&name)))
    }
}

/// What does not tell is a context.
#[inline]
fn is_true(context: &Bound<'_, PyAny>) -> bool {
    context.is_truthy().unwrap_or(true)
}

#[inline]
fn measure_natively(
    streams: &[Arc<otel_rs_core::metrics::Stream>],
    items: &[Item<'_>],
    value: Number,
    sampled: Option<Span>,
    time: impl Fn() -> u64 + Copy,
) {
    let hash = hash_of(items);
    let offer = sampled.map(|trace_and_span| Offer { value, trace_and_span, attributes: items });
    for stream in streams {
        stream.measure(items, hash, value, offer.as_ref(), time);
    }
}

#[pymethods]
impl Instrument {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.consumer)?;
        visit.call(&self.switch)?;
        self.streams.try_for_each(|streams| streams.stock.iter().try_for_each(|stream| visit.call(stream)))
    }
}

/// One kind of instrument, with the method that it measures by: the others' must not be found on it.
macro_rules! instrument {
    ($kind:ident, $method:ident, $does:literal) => {
        #[pyclass(frozen, subclass, extends = Instrument, module = "otel_rs._native")]
        pub struct $kind;

        #[pymethods]
        impl $kind {
            #[new]
            fn new(consumer: Py<MeasurementConsumer>, switch: Py<MeterSwitch>) -> PyClassInitializer<Self> {
                PyClassInitializer::from(Instrument::new(Kind::$kind, consumer, switch)).add_subclass(Self)
            }

            #[doc = $does]
            ///
            /// Without a context, it is measured in the current one.
            #[pyo3(signature = (amount, attributes=None, context=None))]
            fn $method(
                slf: &Bound<'_, Self>,
                amount: &Bound<'_, PyAny>,
                attributes: Option<&Bound<'_, PyAny>>,
                context: Option<&Bound<'_, PyAny>>,
            ) -> PyResult<()> {
                Instrument::measure(slf.as_super(), amount, attributes, context)
            }
        }
    };
}

instrument!(Counter, add, "Adds the amount, which must not be negative, to the series of the attributes.");
instrument!(UpDownCounter, add, "Adds the amount to the series of the attributes.");
instrument!(Histogram, record, "Records the amount, which must not be negative, in the series of the attributes.");
instrument!(Gauge, set, "Sets the series of the attributes to the amount.");
