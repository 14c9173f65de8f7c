//! Parts of a span that Python code has taken hold of, or put in place, through the names that upstream keeps to itself
//! (`span._attributes["k"] = ...`, `span._resource = ...`), as processors in the wild do. Such a part is a Python object
//! from then on, upstream's own kind of it; the others stay in their wire form.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::convert::attributes::PyAttributes;
use crate::convert::stock_span::{self, Identifiers};
use crate::otlp::batch::Scope;
use crate::otlp::span::{self as wire, Messages, SPAN_ATTRIBUTES};
use crate::trace::api::{Api, api, position};
use crate::trace::exception;
use crate::trace::readable_span::Copied;
use crate::trace::span::{Span, given_time};
use crate::trace::span_state::State;
use crate::trace::thread_end::outlast_exit;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Context,
    Parent,
    Kind,
    StartTime,
    Attributes,
    Events,
    Links,
    Resource,
    InstrumentationScope,
    InstrumentationInfo,
}

const COUNT: usize = Part::InstrumentationInfo as usize + 1;

#[derive(Default)]
pub struct Parts([Option<Py<PyAny>>; COUNT]);

impl Parts {
    pub fn get(&self, part: Part) -> Option<&Py<PyAny>> {
        self.0[part as usize].as_ref()
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.iter().try_for_each(|part| visit.call(part))
    }

    fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(std::array::from_fn(|at| self.0[at].as_ref().map(|part| part.clone_ref(py))))
    }
}

impl Span {
    /// The part as Python code has it; None while it is in its wire form.
    #[inline]
    pub(super) fn part(&self, py: Python<'_>, part: Part) -> Option<Py<PyAny>> {
        if !self.has_parts.load(Ordering::Acquire) {
            return None;
        }
        self.lock().parts.as_ref()?.get(part).map(|object| object.clone_ref(py))
    }

    /// Puts an object in the part's place.
    pub(super) fn put_part(&self, part: Part, object: Py<PyAny>) {
        let _replaced = {
            let mut state = self.lock();
            self.has_parts.store(true, Ordering::Release);
            state.parts.get_or_insert_default().0[part as usize].replace(object)
        };
    }

    /// The attributes as upstream's `BoundedAttributes`, which they stay.
    pub(super) fn hold_attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        outlast_exit();
        loop {
            if let Some(held) = self.part(py, Part::Attributes) {
                return Ok(held.into_bound(py));
            }
            let (snapshot, version, ended) = {
                let state = self.lock();
                let ended = state.end_time.is_some();
                (crate::convert::read::Snapshot::of(py, &state.attributes), state.attributes.wire.version(), ended)
            };
            let limits = self.limits();
            let arguments = (limits.span_attributes, py.None(), false, limits.span_value_len);
            let attributes = api(py)?.bounded_attributes.bind(py).call1(arguments)?;
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

    /// The events or links as upstream's `BoundedList` of them, which they stay.
    pub(super) fn hold_list<'py>(&self, py: Python<'py>, part: Part) -> PyResult<Bound<'py, PyAny>> {
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
            let list = api(py)?.bounded_list.bind(py).call_method1("from_seq", (limit, objects))?;
            list.setattr(intern!(py, "dropped"), dropped)?;
            let mut state = self.lock();
            if state.recorded(part).map(|recorded| recorded.version()) == version && self.hold(&mut state, part, &list)
            {
                return Ok(list);
            }
        }
    }

    /// Makes the object the part, unless another thread has done so with its own. The wire form stays behind it: a
    /// thread that is about to frame the span may have seen no part yet.
    fn hold(&self, state: &mut State, part: Part, object: &Bound<'_, PyAny>) -> bool {
        let place = &mut state.parts.get_or_insert_default().0[part as usize];
        if place.is_some() {
            return false;
        }
        *place = Some(object.clone().unbind());
        self.has_parts.store(true, Ordering::Release);
        true
    }

    /// What the parts make different on the wire. One that is of no use counts as not there, with a log line.
    pub(super) fn differing(&self, py: Python<'_>) -> Option<Box<Differing>> {
        if !self.has_parts.load(Ordering::Acquire) {
            return None;
        }
        let parts = self.lock().parts.as_ref()?.clone_ref(py);
        let api = api(py).ok()?;
        let mut differing = Box::<Differing>::default();
        for (at, object) in parts.0.iter().enumerate() {
            if let Some(object) = object
                && let Err(error) = differing.take(self, api, &parts, at, object.bind(py))
            {
                exception::swallow(py, "A part of a span was not exported", error);
            }
        }
        Some(differing)
    }
}

/// What parts say of the span on the wire.
#[derive(Default)]
pub struct Differing {
    context: Option<Identifiers>,
    parent: Option<Option<Identifiers>>,
    kind: Option<u8>,
    start_time: Option<u64>,
    attributes: Option<PyAttributes>,
    events: Option<Messages>,
    links: Option<Messages>,
    pub scope: Option<Arc<Scope>>,
}

impl Differing {
    fn take(&mut self, span: &Span, api: &Api, parts: &Parts, at: usize, object: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = object.py();
        let is = |part: Part| at == part as usize;
        if is(Part::Context) {
            self.context = Some(stock_span::identifiers(object)?);
        } else if is(Part::Parent) {
            let parent = (!object.is_none()).then(|| stock_span::identifiers(object)).transpose()?;
            self.parent = Some(parent);
        } else if is(Part::Kind) {
            self.kind = position(&api.kinds, object).map(|kind| kind as u8);
        } else if is(Part::StartTime) {
            self.start_time = Some(given_time(object));
        } else if is(Part::Attributes) {
            let mut converted = PyAttributes::new(SPAN_ATTRIBUTES, None);
            if !object.is_none() {
                converted.extend(object, None);
            }
            converted.wire.count_dropped(dropped(object));
            self.attributes = Some(converted);
        } else if is(Part::Events) {
            self.events = Some(stock_span::events(object, dropped(object))?);
        } else if is(Part::Links) {
            self.links = Some(stock_span::links(api, object, dropped(object))?);
        } else if is(Part::Resource) || is(Part::InstrumentationScope) {
            let tracer = span.tracer.get();
            let resource = match parts.get(Part::Resource) {
                Some(resource) => resource.clone_ref(py),
                None => span.identity.resource(py),
            };
            let scope = match parts.get(Part::InstrumentationScope) {
                Some(scope) => scope.clone_ref(py),
                None => tracer.instrumentation_scope(py),
            };
            self.scope = Some(tracer.scopes().get(resource.bind(py), scope.bind(py))?);
        }
        Ok(())
    }

    pub fn apply<'a>(&'a self, span: &mut wire::Span<'a>) {
        if let Some(context) = &self.context {
            (span.trace_id, span.span_id) = (context.trace_id, context.span_id);
            span.trace_state = &context.trace_state;
        }
        if let Some(parent) = &self.parent {
            span.parent_span_id = parent.as_ref().map(|parent| parent.span_id);
            span.parent_is_remote = parent.as_ref().is_some_and(|parent| parent.is_remote);
        }
        span.kind = self.kind.map_or(span.kind, |kind| kind + 1);
        span.start_time_unix_nano = self.start_time.unwrap_or(span.start_time_unix_nano);
        span.attributes = self.attributes.as_ref().map_or(span.attributes, |attributes| &attributes.wire);
        span.events = self.events.as_ref().or(span.events);
        span.links = self.links.as_ref().or(span.links);
    }
}

/// `dropped` of upstream's bounded containers; what is none of them has dropped nothing.
pub fn dropped(container: &Bound<'_, PyAny>) -> u32 {
    container.getattr_opt(intern!(container.py(), "dropped")).ok().flatten().and_then(|d| d.extract().ok()).unwrap_or(0)
}

/// The names that upstream keeps to itself. Reading a container takes hold of it; setting one replaces it.
#[pymethods]
impl Span {
    #[getter]
    fn _name(&self, py: Python<'_>) -> Py<PyAny> {
        self.name(py)
    }

    #[setter(_name)]
    fn put_name(&self, name: Py<PyAny>) {
        let _replaced = std::mem::replace(&mut self.lock().name, name);
    }

    #[getter]
    fn _end_time(&self) -> Option<u64> {
        self.end_time()
    }

    #[setter(_end_time)]
    fn put_end_time(&self, time: Option<u64>) {
        self.lock().end_time = time;
    }

    #[getter]
    fn _status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.status(py)
    }

    #[setter(_status)]
    fn put_status(&self, status: &Bound<'_, PyAny>) -> PyResult<()> {
        let (code, message) = stock_span::status(api(status.py())?, status)?;
        let message = message.map(Bound::unbind);
        let _replaced = {
            let mut state = self.lock();
            state.status = code;
            std::mem::replace(&mut state.status_message, message)
        };
        Ok(())
    }

    #[getter]
    fn _context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.context(py)
    }

    #[setter(_context)]
    fn put_context(&self, context: Py<PyAny>) {
        self.put_part(Part::Context, context);
    }

    #[getter]
    fn _parent<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.parent(py)
    }

    #[setter(_parent)]
    fn put_parent(&self, parent: Py<PyAny>) {
        self.put_part(Part::Parent, parent);
    }

    #[getter]
    fn _kind(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.kind(py)
    }

    #[setter(_kind)]
    fn put_kind(&self, kind: Py<PyAny>) {
        self.put_part(Part::Kind, kind);
    }

    #[getter]
    fn _start_time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.start_time(py)
    }

    #[setter(_start_time)]
    fn put_start_time(&self, time: Py<PyAny>) {
        self.put_part(Part::StartTime, time);
    }

    #[getter]
    fn _attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.hold_attributes(py)
    }

    #[setter(_attributes)]
    fn put_attributes(&self, attributes: Py<PyAny>) {
        self.put_part(Part::Attributes, attributes);
    }

    #[getter]
    fn _events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.hold_list(py, Part::Events)
    }

    #[setter(_events)]
    fn put_events(&self, events: Py<PyAny>) {
        self.put_part(Part::Events, events);
    }

    #[getter]
    fn _links<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.hold_list(py, Part::Links)
    }

    #[setter(_links)]
    fn put_links(&self, links: Py<PyAny>) {
        self.put_part(Part::Links, links);
    }

    #[getter]
    fn _resource(&self, py: Python<'_>) -> Py<PyAny> {
        self.resource(py)
    }

    #[setter(_resource)]
    fn put_resource(&self, resource: Py<PyAny>) {
        self.put_part(Part::Resource, resource);
    }

    #[getter]
    fn _instrumentation_scope(&self, py: Python<'_>) -> Py<PyAny> {
        self.instrumentation_scope(py)
    }

    #[setter(_instrumentation_scope)]
    fn put_instrumentation_scope(&self, scope: Py<PyAny>) {
        self.put_part(Part::InstrumentationScope, scope);
    }

    #[getter]
    fn _instrumentation_info(&self, py: Python<'_>) -> Py<PyAny> {
        self.part(py, Part::InstrumentationInfo).unwrap_or_else(|| self.tracer.get().instrumentation_info(py))
    }

    #[setter(_instrumentation_info)]
    fn put_instrumentation_info(&self, info: Py<PyAny>) {
        self.put_part(Part::InstrumentationInfo, info);
    }

    #[getter]
    fn _tracer(&self, py: Python<'_>) -> Py<PyAny> {
        self.tracer.clone_ref(py).into_any()
    }

    #[getter]
    fn _record_exception(&self) -> bool {
        self.record_exception
    }

    #[getter]
    fn _set_status_on_exception(&self) -> bool {
        self.set_status_on_exception
    }
}
