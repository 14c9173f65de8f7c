//! Containers of a span that become Python objects, and stay so.

use std::sync::atomic::Ordering;

use pyo3::prelude::*;

use crate::convert::snapshot::Snapshot;
use crate::py::once::intern;
use crate::py::thread_end::outlast_exit;
use crate::py::upstream::upstream;
use crate::trace::span::Span;
use crate::trace::span::copied::Copied;
use crate::trace::span::part::Part;
use crate::trace::span::state::SpanState;

impl Span {
    /// Turns the attributes into upstream's `BoundedAttributes` for good.
    pub fn hold_attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        outlast_exit();
        loop {
            if let Some(held) = self.part(py, Part::Attributes) {
                return Ok(held.into_bound(py));
            }
            let (snapshot, version, ended) = {
                let state = self.lock();
                let ended = state.end_time.is_some();
                (Snapshot::of(py, &state.attributes), state.attributes.wire.version(), ended)
            };
            let limits = self.limits();
            let arguments = (limits.span_attributes, py.None(), false, limits.span_value_len);
            let attributes = upstream(py)?.bounded_attributes.bind(py).call1(arguments)?;
            attributes.setattr(intern!(py, "_dict"), snapshot.into_dict(py)?)?;
            attributes.setattr(intern!(py, "dropped"), version.dropped)?;
            attributes.setattr(intern!(py, "_immutable"), ended)?;
            let mut state = self.lock();
            // Another thread may have set one meanwhile.
            if state.attributes.wire.version() == version
                && state.end_time.is_some() == ended
                && self.hold(&mut state, Part::Attributes, &attributes)
            {
                return Ok(attributes);
            }
        }
    }

    /// Turns the events or links into upstream's `BoundedList` for good.
    pub fn hold_list<'py>(&self, py: Python<'py>, part: Part) -> PyResult<Bound<'py, PyAny>> {
        outlast_exit();
        loop {
            if let Some(held) = self.part(py, part) {
                return Ok(held.into_bound(py));
            }
            let limit = if part == Part::Events { self.limits().events } else { self.limits().links };
            let (copied, version) = {
                let state = self.lock();
                let recorded = state.recorded(part);
                (Copied::all(py, recorded), recorded.map(|recorded| recorded.version()))
            };
            let dropped = version.map_or(0, |(_, dropped)| dropped);
            let objects = copied.into_iter().map(|copied| copied.object(py, part)).collect::<PyResult<Vec<_>>>()?;
            let list = upstream(py)?.bounded_list.bind(py).call_method1("from_seq", (limit, objects))?;
            list.setattr(intern!(py, "dropped"), dropped)?;
            let mut state = self.lock();
            if state.recorded(part).map(|recorded| recorded.version()) == version && self.hold(&mut state, part, &list)
            {
                return Ok(list);
            }
        }
    }

    /// Turns the status into upstream's `Status`, until the next is set.
    pub fn hold_status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        outlast_exit();
        let upstream = upstream(py)?;
        loop {
            if let Some(held) = self.part(py, Part::Status) {
                return Ok(held.into_bound(py));
            }
            let (code, message) = {
                let state = self.lock();
                (state.status, state.status_message.as_ref().map(|message| message.clone_ref(py)))
            };
            let status = upstream.status.bind(py).call1((&upstream.status_codes[code as usize], &message))?;
            let mut state = self.lock();
            // Another thread may have set one meanwhile.
            if state.status == code
                && state.status_message.as_ref().map(|now| now.as_ptr()) == message.as_ref().map(|then| then.as_ptr())
                && self.hold(&mut state, Part::Status, &status)
            {
                return Ok(status);
            }
        }
    }

    /// Makes the object the part, unless another thread has been faster. The wire form is kept: a
    /// thread that is about to frame the span may have seen no part yet.
    fn hold(&self, state: &mut SpanState, part: Part, object: &Bound<'_, PyAny>) -> bool {
        let place = &mut state.parts.get_or_insert_default().0[part as usize];
        if place.is_some() {
            return false;
        }
        *place = Some(object.clone().unbind());
        self.has_parts.store(true, Ordering::Release);
        true
    }
}
