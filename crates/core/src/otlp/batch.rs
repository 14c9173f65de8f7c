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
    framed: Vec<u8>,
}

impl Batch {
    /// Adds one item, framed as field 2 of its scope's message.
    pub fn push(&mut self, scope: &Arc<Scope>, framed: &[u8]) -> Result<(), OutOfMemory> {
        self.push_within(usize::MAX, scope, framed).map(drop)
    }

    /// Adds one item and returns true, unless the request could become longer than `max_request_bytes`. The first item
    /// goes in whatever its length. Without memory for the item the batch stays as it is.
    #[inline]
    pub fn push_within(
        &mut self,
        max_request_bytes: usize,
        scope: &Arc<Scope>,
        framed: &[u8],
    ) -> Result<bool, OutOfMemory> {
        let bytes = self.bytes + framed.len();
        // Newest first: items of one library tend to come one after the other.
        let of_scope = |group: &&mut Group| Arc::ptr_eq(&group.scope, scope) && !group.framed.is_empty();
        let Some(group) = self.groups.iter_mut().rev().find(of_scope) else {
            return self.push_first_of(max_request_bytes, scope, framed);
        };
        if bytes + self.envelopes > max_request_bytes {
            return Ok(false);
        }
        make_room(&mut group.framed, framed.len())?;
        self.bytes = bytes;
        self.items += 1;
        group.framed.extend_from_slice(framed);
        Ok(true)
    }

    /// A scope's first item, for which its envelope comes in as well.
    #[cold]
    fn push_first_of(
        &mut self,
        max_request_bytes: usize,
        scope: &Arc<Scope>,
        framed: &[u8],
    ) -> Result<bool, OutOfMemory> {
        let (bytes, envelopes) = (self.bytes + framed.len(), self.envelopes + scope.envelope_len());
        if bytes + envelopes > max_request_bytes && self.items > 0 {
            return Ok(false);
        }
        let at = match self.groups.iter().position(|group| Arc::ptr_eq(&group.scope, scope)) {
            Some(at) => at,
            None => {
                self.groups.push(Group { scope: Arc::clone(scope), framed: Vec::new() });
                self.groups.len() - 1
            }
        };
        let group = &mut self.groups[at];
        make_room(&mut group.framed, framed.len())?;
        group.framed.extend_from_slice(framed);
        (self.bytes, self.envelopes) = (bytes, envelopes);
        self.items += 1;
        Ok(true)
    }

    /// Takes the batch and leaves an empty one that has room for as much again, so that a steady stream of items does
    /// not grow its buffers anew for every batch. Libraries that made no item this time are left out.
    pub fn take_leaving_room(&mut self) -> Self {
        self.groups.retain(|group| !group.framed.is_empty());
        let empty = |group: &Group| {
            let mut framed = Vec::new();
            // Without it the buffer grows as it is filled.
            let _ = framed.try_reserve_exact(group.framed.len().min(MAX_ROOM_LEFT));
            Group { scope: Arc::clone(&group.scope), framed }
        };
        let next = Self { groups: self.groups.iter().map(empty).collect(), items: 0, bytes: 0, envelopes: 0 };
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
    let bodies: Vec<usize> = groups.iter().map(scope_len).collect();
    let mut len = bytes_len(resource.message.len()) + text_len(&resource.schema_url);
    len += bodies.iter().map(|body| bytes_len(*body)).sum::<usize>();
    out.push(len_tag(1));
    wire::put_varint(out, len as u64);
    wire::put_bytes(out, len_tag(1), &resource.message);
    for (group, body) in groups.iter().zip(bodies) {
        out.push(len_tag(2));
        wire::put_varint(out, body as u64);
        wire::put_bytes(out, len_tag(1), &group.scope.message);
        out.extend_from_slice(&group.framed);
        put_text(out, &group.scope.schema_url);
    }
    put_text(out, &resource.schema_url);
}

fn scope_len(group: &Group) -> usize {
    bytes_len(group.scope.message.len()) + group.framed.len() + text_len(&group.scope.schema_url)
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
                if !batch.push_within(max_request_bytes, scope, &span).unwrap() {
                    close(&mut batch);
                    assert!(batch.push_within(max_request_bytes, scope, &span).unwrap());
                }
            }
            close(&mut batch);
            assert_eq!(seen, 200);
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
