//! Upstream's own measurement objects, for streams that are not native.

use pyo3::prelude::*;

use crate::metrics::items::cleaned_dict;
use crate::py::upstream::MEASUREMENT;

/// An attribute whose value raises costs itself, not the measurement.
pub fn stock_measurement<'py>(
    value: &Bound<'py, PyAny>,
    time_unix_nano: u64,
    instrument: &Bound<'py, PyAny>,
    context: &Bound<'py, PyAny>,
    attributes: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let class = MEASUREMENT.look_up(value.py())?;
    let Some(attributes) = attributes else {
        return class.call1((value, time_unix_nano, instrument, context));
    };
    class
        .call1((value, time_unix_nano, instrument, context, attributes))
        .or_else(|_| class.call1((value, time_unix_nano, instrument, context, cleaned_dict(attributes)?)))
}
