//! Framed spans or log records, here items, grouped by who made them, and the request they become.

use std::sync::Arc;

use bytes::Bytes;

use crate::otlp::memory::{OutOfMemory, make_room};
use crate::otlp::wire::{self, len_tag};

/// Who the telemetry is about: an encoded `Resource` message and the URL of its schema.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    pub message: Vec<u8>,
    pub schema_url: String,
}

/// Which library made the items: an encoded `InstrumentationScope` message and the URL of its schema.
#[derive(Debug, PartialEq, Eq)]
pub struct Scope {
    pub resource: Arc<Resource>,
    pub message: Vec<u8>,
    pub schema_url: String,
}

impl Scope {
    /// What a request grows by for this scope, apart from its items: at most, where the resource is in there already.
    fn envelope_len(&self) -> usize {
        // Tags and lengths of both messages and of their four fields.
        const HEADS: usize = 64;
        let resource = &self.resource;
        HEADS + self.message.len() + self.schema_url.len() + resource.message.len() + resource.schema_url.len()
    }

    /// What comes behind its items where it is alone in the request.
    fn tails_len(&self) -> usize {
        text_len(&self.schema_url) + text_len(&self.resource.schema_url)
    }
}

/// An item as a batch takes it: framed as field 2 of its scope's message.
pub trait Framed {
    fn framed_len(&self) -> usize;

    /// Appends `framed_len` bytes. There is room for them.
    fn frame_into(&self, out: &mut Vec<u8>);
}

impl Framed for [u8] {
    #[inline]
    fn framed_len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn frame_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// Items that will go out in one request.
#[derive(Default)]
pub struct Batch {
    groups: Vec<Group>,
    items: usize,
    bytes: usize,
    /// Envelopes of the groups that have items, at most.
    envelopes: usize,
}

/// A batch is seldom longer, and the next one seldom again.
const MAX_ROOM_LEFT: usize = 8 * 1024 * 1024;

struct Group {
    scope: Arc<Scope>,
    /// Room for the envelopes' heads, and the framed items.
    framed: Vec<u8>,
    has_items: bool,
}

impl Group {
    /// With room for items of so many bytes, if it is to be had. Without it the buffer grows as it is filled.
    fn new(scope: &Arc<Scope>, items_len: usize) -> Result<Self, OutOfMemory> {
        let (mut framed, heads) = (Vec::new(), scope.envelope_len());
        framed.try_reserve_exact(heads + items_len + scope.tails_len()).or_else(|_| framed.try_reserve_exact(heads))?;
        framed.resize(heads, 0);
        Ok(Self { scope: Arc::clone(scope), framed, has_items: false })
    }

    fn items(&self) -> &[u8] {
        &self.framed[self.scope.envelope_len()..]
    }

    /// The request with these items alone: its heads go into the room before them, so that they stay where they are.
    fn into_request(mut self) -> Result<Bytes, OutOfMemory> {
        let (scope, room) = (Arc::clone(&self.scope), self.scope.envelope_len());
        let mut heads = Vec::with_capacity(room);
        put_resource_head(&mut heads, &scope.resource, std::iter::once(scope_len(&self)));
        put_scope_head(&mut heads, &self);
        make_room(&mut self.framed, scope.tails_len())?;
        put_text(&mut self.framed, &scope.schema_url);
        put_text(&mut self.framed, &scope.resource.schema_url);
        let start = room - heads.len();
        self.framed[start..room].copy_from_slice(&heads);
        Ok(Bytes::from(self.framed).slice(start..))
    }

    #[inline]
    fn add<I: Framed + ?Sized>(&mut self, item: &I) -> Result<(), OutOfMemory> {
        let framed_len = item.framed_len();
        make_room(&mut self.framed, framed_len)?;
        let start = self.framed.len();
        item.frame_into(&mut self.framed);
        debug_assert_eq!(self.framed.len() - start, framed_len);
        Ok(())
    }
}

impl Batch {
    /// Adds one item.
    pub fn push(&mut self, scope: &Arc<Scope>, framed: &[u8]) -> Result<(), OutOfMemory> {
        self.push_within(usize::MAX, scope, framed).map(drop)
    }

    /// Adds one item and returns true, unless the request could become longer than `max_request_bytes`. The first item
    /// goes in whatever its length. Without memory for the item the batch stays as it is.
    #[inline]
    pub fn push_within<I: Framed + ?Sized>(
        &mut self,
        max_request_bytes: usize,
        scope: &Arc<Scope>,
        item: &I,
    ) -> Result<bool, OutOfMemory> {
        let bytes = self.bytes + item.framed_len();
        // Newest first: items of one library tend to come one after the other.
        let of_scope = |group: &&mut Group| Arc::ptr_eq(&group.scope, scope) && group.has_items;
        let Some(group) = self.groups.iter_mut().rev().find(of_scope) else {
            return self.push_first_of(max_request_bytes, scope, item);
        };
        if bytes + self.envelopes > max_request_bytes {
            return Ok(false);
        }
        group.add(item)?;
        self.bytes = bytes;
        self.items += 1;
        Ok(true)
    }

    /// A scope's first item, for which its envelope comes in as well.
    #[cold]
    fn push_first_of<I: Framed + ?Sized>(
        &mut self,
        max_request_bytes: usize,
        scope: &Arc<Scope>,
        item: &I,
    ) -> Result<bool, OutOfMemory> {
        let (bytes, envelopes) = (self.bytes + item.framed_len(), self.envelopes + scope.envelope_len());
        if bytes + envelopes > max_request_bytes && self.items > 0 {
            return Ok(false);
        }
        let at = match self.groups.iter().position(|group| Arc::ptr_eq(&group.scope, scope)) {
            Some(at) => at,
            None => {
                self.groups.push(Group::new(scope, item.framed_len())?);
                self.groups.len() - 1
            }
        };
        self.groups[at].add(item)?;
        self.groups[at].has_items = true;
        (self.bytes, self.envelopes) = (bytes, envelopes);
        self.items += 1;
        Ok(true)
    }

    /// Takes the batch and leaves an empty one that has room for as much again, so that a steady stream of items does
    /// not grow its buffers anew for every batch. Libraries that made no item this time are left out.
    pub fn take_leaving_room(&mut self) -> Self {
        self.groups.retain(|group| group.has_items);
        let empty = |group: &Group| Group::new(&group.scope, group.items().len().min(MAX_ROOM_LEFT)).ok();
        let next = Self { groups: self.groups.iter().filter_map(empty).collect(), items: 0, bytes: 0, envelopes: 0 };
        std::mem::replace(self, next)
    }

    pub fn len(&self) -> usize {
        self.items
    }

    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Bytes of the framed items, envelopes not counted.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The `ExportTraceServiceRequest` or `ExportLogsServiceRequest`, which have the same fields.
    pub fn into_request(mut self) -> Result<Bytes, OutOfMemory> {
        self.groups.retain(|group| group.has_items);
        if self.groups.len() == 1
            && let Some(group) = self.groups.pop()
        {
            return group.into_request();
        }
        let mut out = Vec::new();
        out.try_reserve_exact(self.bytes + self.envelopes)?;
        while let Some(first) = self.groups.first() {
            let resource = Arc::clone(&first.scope.resource);
            let same =
                |group: &Group| Arc::ptr_eq(&group.scope.resource, &resource) || group.scope.resource == resource;
            let (of_resource, others) = std::mem::take(&mut self.groups).into_iter().partition(same);
            self.groups = others;
            put_resource(&mut out, &resource, of_resource);
        }
        Ok(out.into())
    }
}

fn put_resource(out: &mut Vec<u8>, resource: &Resource, groups: Vec<Group>) {
    put_resource_head(out, resource, groups.iter().map(scope_len));
    for group in &groups {
        put_scope_head(out, group);
        out.extend_from_slice(group.items());
        put_text(out, &group.scope.schema_url);
    }
    put_text(out, &resource.schema_url);
}

/// Everything before the first scope.
fn put_resource_head(out: &mut Vec<u8>, resource: &Resource, scopes: impl Iterator<Item = usize>) {
    let len = bytes_len(resource.message.len()) + text_len(&resource.schema_url) + scopes.map(bytes_len).sum::<usize>();
    wire::put_head(out, len_tag(1), len as u64);
    wire::put_bytes(out, len_tag(1), &resource.message);
}

/// Everything before the first item.
fn put_scope_head(out: &mut Vec<u8>, group: &Group) {
    wire::put_head(out, len_tag(2), scope_len(group) as u64);
    wire::put_bytes(out, len_tag(1), &group.scope.message);
}

fn scope_len(group: &Group) -> usize {
    bytes_len(group.scope.message.len()) + group.items().len() + text_len(&group.scope.schema_url)
}

/// Length of a field with `len` bytes in it.
fn bytes_len(len: usize) -> usize {
    1 + wire::varint_len(len as u64) + len
}

fn text_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { bytes_len(text.len()) }
}

/// `schema_url` is field 3 of both envelopes.
fn put_text(out: &mut Vec<u8>, text: &str) {
    if !text.is_empty() {
        wire::put_bytes(out, len_tag(3), text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message;

    fn scope(resource: &Arc<Resource>, name: &str, schema_url: &str) -> Arc<Scope> {
        let mut message = Vec::new();
        wire::put_bytes(&mut message, len_tag(1), name.as_bytes());
        Arc::new(Scope { resource: Arc::clone(resource), message, schema_url: schema_url.into() })
    }

    /// A framed span with nothing but a name.
    fn span(name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        wire::put_bytes(&mut out, len_tag(5), name.as_bytes());
        wire::frame_from(&mut out, 0, len_tag(2));
        out
    }

    #[test]
    fn no_request_is_longer_than_it_may_be_but_for_a_single_span() {
        let resource = Arc::new(Resource { message: vec![], schema_url: "resource".into() });
        let scopes = ["a", "library with a long name", ""].map(|name| scope(&resource, name, "scope's own"));
        for max_request_bytes in (1..2000).step_by(if cfg!(miri) { 1500 } else { 37 }) {
            let mut batch = Batch::default();
            let mut seen = 0;
            let mut close = |batch: &mut Batch| {
                let batch = batch.take_leaving_room();
                let spans = batch.len();
                seen += spans;
                let request = batch.into_request().unwrap();
                assert!(request.len() <= max_request_bytes || spans == 1, "{spans}: {}", request.len());
            };
            for number in 0..200usize {
                let (scope, span) = (&scopes[number % 7 % 3], span(&"x".repeat(number * number % 300)));
                if !batch.push_within(max_request_bytes, scope, span.as_slice()).unwrap() {
                    close(&mut batch);
                    assert!(batch.push_within(max_request_bytes, scope, span.as_slice()).unwrap());
                }
            }
            close(&mut batch);
            assert_eq!(seen, 200);
        }
    }

    #[test]
    fn a_request_of_one_scope_is_made_in_its_buffer() {
        for (resource_url, scope_url, count) in [("", "", 1), ("r", "", 100), ("", "s", 100), ("r", "s", 1000)] {
            let mut message = Vec::new();
            wire::put_uint(&mut message, wire::varint_tag(2), 3);
            let resource = Arc::new(Resource { message, schema_url: resource_url.into() });
            let scope = scope(&resource, "library", scope_url);
            let mut batch = Batch::default();
            // The second batch has the room that the first one left.
            for _ in 0..2 {
                (0..count).for_each(|number| batch.push(&scope, &span(&format!("span {number}"))).unwrap());
                let taken = batch.take_leaving_room();
                assert_eq!((taken.len(), batch.len()), (count, 0));
                let request = ExportTraceServiceRequest::decode(taken.into_request().unwrap()).unwrap();
                let [of_resource] = &request.resource_spans[..] else { panic!("one resource") };
                let [of_scope] = &of_resource.scope_spans[..] else { panic!("one scope") };
                let dropped = of_resource.resource.as_ref().unwrap().dropped_attributes_count;
                assert_eq!((of_resource.schema_url.as_str(), dropped), (resource_url, 3));
                assert_eq!(
                    (of_scope.schema_url.as_str(), of_scope.scope.as_ref().unwrap().name.as_str()),
                    (scope_url, "library")
                );
                assert_eq!(of_scope.spans.len(), count);
                assert_eq!(of_scope.spans[count - 1].name, format!("span {}", count - 1));
            }
        }
    }

    #[test]
    fn spans_are_grouped_by_resource_and_scope() {
        let one = Arc::new(Resource { message: vec![], schema_url: "r1".into() });
        let two = Arc::new(Resource { message: vec![], schema_url: String::new() });
        let (a, b, c) = (scope(&one, "a", ""), scope(&one, "b", "sb"), scope(&two, "c", ""));
        let mut batch = Batch::default();
        for (scope, name) in [(&a, "a1"), (&c, "c1"), (&b, "b1"), (&a, "a2")] {
            batch.push(scope, &span(name)).unwrap();
        }
        assert_eq!(batch.len(), 4);
        let request = ExportTraceServiceRequest::decode(batch.into_request().unwrap()).unwrap();
        let seen: Vec<_> = request
            .resource_spans
            .iter()
            .flat_map(|r| {
                r.scope_spans.iter().map(|s| {
                    let names: Vec<_> = s.spans.iter().map(|span| span.name.as_str()).collect();
                    let scope = s.scope.as_ref().unwrap().name.as_str();
                    (r.schema_url.as_str(), scope, s.schema_url.as_str(), names.join(" "))
                })
            })
            .collect();
        let expected =
            [("r1", "a", "", "a1 a2".to_owned()), ("r1", "b", "sb", "b1".to_owned()), ("", "c", "", "c1".to_owned())];
        assert_eq!(seen, expected);
    }
}
