//! What changes while a span is recorded.

use std::collections::VecDeque;

use otel_rs_core::otlp::{Messages, SPAN_ATTRIBUTES, StatusCode};
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{PyTraverseError, PyVisit};

use crate::convert::attributes::{Originals, PyAttributes};
use crate::trace::span::part::{Part, Parts};

/// No Python code may run, and no Python object be dropped, while this is locked.
pub struct SpanState {
    pub name: Py<PyAny>,
    pub end_time: Option<u64>,
    pub attributes: PyAttributes,
    /// Made with the first event or link: most spans have none.
    pub events: Option<Box<Recorded>>,
    pub links: Option<Box<Recorded>>,
    pub status: StatusCode,
    pub status_message: Option<Py<PyString>>,
    /// Parts that are Python objects instead of their wire form; hardly any span has one.
    pub parts: Option<Box<Parts>>,
}

/// Events or links in their wire form, and for each what a reader of the span gets as it was given.
pub struct Recorded {
    pub messages: Messages,
    pub read_side: VecDeque<ReadSide>,
}

/// What the wire form of an event or link cannot hold.
pub struct ReadSide {
    /// The SpanContext that a link names.
    pub context: Option<Py<PyAny>>,
    /// Attribute values that the wire form does not hold to the full.
    pub originals: Option<Box<Originals>>,
}

impl SpanState {
    pub fn new(name: Py<PyAny>, max_attributes: Option<usize>) -> Self {
        Self {
            name,
            end_time: None,
            attributes: PyAttributes::new(SPAN_ATTRIBUTES, max_attributes),
            events: None,
            links: None,
            status: StatusCode::Unset,
            status_message: None,
            parts: None,
        }
    }

    /// Events or links.
    pub fn recorded(&self, part: Part) -> Option<&Recorded> {
        if part == Part::Events { self.events.as_deref() } else { self.links.as_deref() }
    }

    pub fn recorded_mut(&mut self, part: Part) -> &mut Option<Box<Recorded>> {
        if part == Part::Events { &mut self.events } else { &mut self.links }
    }

    /// The part, where it is a Python object.
    #[inline]
    pub fn held(&self, part: Part) -> Option<&Py<PyAny>> {
        self.parts.as_ref()?.get(part)
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.name)?;
        self.parts.iter().try_for_each(|parts| parts.traverse(visit))?;
        self.attributes.originals().iter().try_for_each(|(_, value)| visit.call(value))?;
        for recorded in [&self.events, &self.links].into_iter().flatten() {
            for read_side in &recorded.read_side {
                visit.call(&read_side.context)?;
                let originals = read_side.originals.iter().flat_map(|originals| originals.iter());
                originals.map(|(_, value)| value).try_for_each(|value| visit.call(value))?;
            }
        }
        Ok(())
    }
}

/// There was no memory for an entry. What it had of Python is to be dropped after the lock.
pub struct NoMemory {
    _unused: ReadSide,
}

impl Recorded {
    /// Changes with every entry.
    pub fn version(&self) -> (usize, u32) {
        (self.messages.len(), self.messages.dropped())
    }

    /// Adds to the list, which is made with its first entry. Returns the entry that it evicts, to be dropped after the
    /// lock.
    pub fn push(
        list: &mut Option<Box<Self>>,
        limit: Option<usize>,
        framed: &[u8],
        read_side: ReadSide,
    ) -> Result<Option<ReadSide>, NoMemory> {
        let list = Self::made(list, limit);
        if list.messages.try_push(framed).is_err() {
            return Err(NoMemory { _unused: read_side });
        }
        list.read_side.push_back(read_side);
        Ok(if list.read_side.len() > list.messages.len() { list.read_side.pop_front() } else { None })
    }

    /// Counts an entry that was not added.
    pub fn count_dropped(list: &mut Option<Box<Self>>, limit: Option<usize>) {
        Self::made(list, limit).messages.count_dropped(1);
    }

    fn made(list: &mut Option<Box<Self>>, limit: Option<usize>) -> &mut Self {
        list.get_or_insert_with(|| Box::new(Self { messages: Messages::new(limit), read_side: VecDeque::new() }))
    }
}
