//! From `Attributes::set` to the halves of a request: what is sent is what was put in.

use std::fmt::Debug;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{self as proto, ResourceSpans, ScopeSpans, span};
use otel_rs_core::export::split;
use otel_rs_core::otlp::{Batch, Scope};
use otel_rs_core::otlp::{
    EVENT_ATTRIBUTES, LINK_ATTRIBUTES, Messages, SPAN_ATTRIBUTES, Span, StatusCode, put_event, put_link, span_flags,
    span_name,
};
use prost::Message;

use super::input::Input;
use super::json::assert_is_json;
use super::model::{self, Pair, assert_decodes_to, assert_same};

pub fn spans(data: &[u8]) {
    let mut input = Input::of(data);
    let max_request_bytes = input.maybe(|input| input.number() as usize % 100_000).unwrap_or(usize::MAX);
    let scopes = model::scopes(&mut input);
    let mut batch = Batch::default();
    let mut expected = Vec::new();
    while !input.is_empty() {
        let scope = &scopes[input.below(scopes.len() as u8)];
        let (framed, span) = read_span(&mut input);
        if !batch.push_within(max_request_bytes, scope, framed.as_slice()).unwrap() {
            close(&mut batch, &mut expected, max_request_bytes);
            let taken = batch.push_within(max_request_bytes, scope, framed.as_slice()).unwrap();
            assert!(taken, "the first one goes in whatever its length");
        }
        expected.push(Sent::new(scope, span));
        if input.byte() == 0 {
            close(&mut batch, &mut expected, max_request_bytes);
        }
    }
    close(&mut batch, &mut expected, max_request_bytes);
}

/// A span, with all that stands around it.
struct Sent {
    resource: ResourceSpans,
    scope: ScopeSpans,
    span: proto::Span,
}

impl Sent {
    fn new(scope: &Scope, span: proto::Span) -> Self {
        let (resource, schema_url) = model::resource_of(scope);
        let resource = ResourceSpans { resource, schema_url, scope_spans: vec![] };
        let (scope, schema_url) = model::scope_of(scope);
        Self { resource, scope: ScopeSpans { scope, schema_url, spans: vec![] }, span }
    }

    /// Equal for spans of one scope, and for no others: no two scopes are alike.
    fn place(&self) -> (Vec<u8>, Vec<u8>) {
        (self.resource.encode_to_vec(), self.scope.encode_to_vec())
    }
}

fn flat(request: ExportTraceServiceRequest) -> Vec<Sent> {
    let mut all = Vec::new();
    for mut resource in request.resource_spans {
        let scopes = std::mem::take(&mut resource.scope_spans);
        assert!(!scopes.is_empty());
        for mut scope in scopes {
            let spans = std::mem::take(&mut scope.spans);
            assert!(!spans.is_empty());
            all.extend(spans.into_iter().map(|span| Sent { resource: resource.clone(), scope: scope.clone(), span }));
        }
    }
    all
}

fn close(batch: &mut Batch, expected: &mut Vec<Sent>, max_request_bytes: usize) {
    let mut expected = std::mem::take(expected);
    let batch = batch.take_leaving_room();
    assert_eq!((batch.len(), batch.is_empty()), (expected.len(), expected.is_empty()));
    let request = batch.into_request().unwrap();
    assert!(request.len() <= max_request_bytes || expected.len() == 1);
    assert_eq!(split::items(&request).count(), expected.len());
    let decoded = ExportTraceServiceRequest::decode(&*request).expect("what we write is well-formed");
    assert_is_json(&decoded);
    for (item, span) in split::items(&request).zip(decoded.resource_spans.iter().flat_map(spans_of)) {
        assert_eq!(span_name(item), span.name);
    }
    let sent = flat(decoded);
    assert_halves(request, &sent);
    // Scopes stand in the order of the resources; a scope's spans in that of their pushing.
    expected.sort_by_cached_key(Sent::place);
    let mut by_place: Vec<_> = sent.iter().collect();
    by_place.sort_by_cached_key(|sent| sent.place());
    assert_all_same(by_place, &expected);
}

fn spans_of(resource: &ResourceSpans) -> impl Iterator<Item = &proto::Span> {
    resource.scope_spans.iter().flat_map(|scope| &scope.spans)
}

fn assert_all_same<'a>(sent: impl IntoIterator<Item = &'a Sent>, expected: &[Sent]) {
    let sent: Vec<_> = sent.into_iter().collect();
    assert_eq!(sent.len(), expected.len());
    for (sent, expected) in sent.into_iter().zip(expected) {
        assert_same(&sent.resource, &expected.resource);
        assert_same(&sent.scope, &expected.scope);
        assert_same(&sent.span, &expected.span);
    }
}

/// Halved again and again, it ends at single spans, which are all of them in their order.
fn assert_halves(request: Bytes, expected: &[Sent]) {
    let mut waiting = vec![(request, expected.len())];
    let mut single = Vec::new();
    while let Some((part, items)) = waiting.pop() {
        assert_eq!(split::items(&part).count(), items);
        match split::halves(&part, |_| 1) {
            Some([one, two]) => {
                assert!(one.items > 0 && two.items > 0 && (one.items + two.items) as usize == items);
                waiting.extend([two, one].map(|part| (part.request, part.items as usize)));
            }
            None => {
                assert!(items < 2);
                single.extend(flat(ExportTraceServiceRequest::decode(part).expect("a part is well-formed")));
            }
        }
    }
    assert_all_same(&single, expected);
}

fn read_span(input: &mut Input<'_>) -> (Vec<u8>, proto::Span) {
    let attributes = Pair::read(input, SPAN_ATTRIBUTES);
    let (events, expected_events, dropped_events) = read_events(input);
    let (links, expected_links, dropped_links) = read_links(input);
    let (name, trace_state, status_message) = (input.text(), read_optional_text(input), read_optional_text(input));
    let status = [StatusCode::Unset, StatusCode::Ok, StatusCode::Error][input.below(3)];
    let span = Span {
        trace_id: input.number().into(),
        span_id: input.number(),
        trace_state: &trace_state,
        parent_span_id: input.maybe(Input::number),
        parent_is_remote: input.flag(),
        name: &name,
        kind: input.byte() % 6,
        start_time_unix_nano: input.number(),
        end_time_unix_nano: input.number(),
        attributes: &attributes.ours,
        events: Some(&events).filter(|events| !events.is_empty() || events.dropped() > 0),
        links: Some(&links).filter(|links| !links.is_empty() || links.dropped() > 0),
        status,
        status_message: &status_message,
    };
    let mut framed = Vec::new();
    span.frame(&mut framed);
    let expected = proto::Span {
        trace_id: span.trace_id.to_be_bytes().into(),
        span_id: span.span_id.to_be_bytes().into(),
        trace_state: trace_state.clone(),
        parent_span_id: span.parent_span_id.map(|id| id.to_be_bytes().into()).unwrap_or_default(),
        flags: span_flags(span.parent_is_remote),
        name: name.clone(),
        kind: span.kind.into(),
        start_time_unix_nano: span.start_time_unix_nano,
        end_time_unix_nano: span.end_time_unix_nano,
        attributes: attributes.key_values(),
        dropped_attributes_count: attributes.dropped,
        events: expected_events,
        dropped_events_count: dropped_events,
        links: expected_links,
        dropped_links_count: dropped_links,
        status: Some(proto::Status { message: status_message.clone(), code: status as i32 }),
    };
    assert_decodes_to(&framed, &ScopeSpans { spans: vec![expected.clone()], ..Default::default() });
    (framed, expected)
}

fn read_optional_text(input: &mut Input<'_>) -> String {
    input.maybe(Input::text).unwrap_or_default()
}

fn read_events(input: &mut Input<'_>) -> (Messages, Vec<span::Event>, u32) {
    read_messages(input, |input, framed| {
        let attributes = Pair::read(input, EVENT_ATTRIBUTES);
        let (name, time_unix_nano) = (input.text(), input.number());
        put_event(framed, &name, time_unix_nano, &attributes.ours);
        let (attributes, dropped_attributes_count) = (attributes.key_values(), attributes.dropped);
        span::Event { time_unix_nano, name, attributes, dropped_attributes_count }
    })
}

fn read_links(input: &mut Input<'_>) -> (Messages, Vec<span::Link>, u32) {
    read_messages(input, |input, framed| {
        let attributes = Pair::read(input, LINK_ATTRIBUTES);
        let (trace_id, span_id) = (u128::from(input.number()) << 64 | 1, input.number());
        let (trace_state, is_remote) = (read_optional_text(input), input.flag());
        put_link(framed, trace_id, span_id, &trace_state, is_remote, &attributes.ours);
        span::Link {
            trace_id: trace_id.to_be_bytes().into(),
            span_id: span_id.to_be_bytes().into(),
            trace_state,
            attributes: attributes.key_values(),
            dropped_attributes_count: attributes.dropped,
            flags: span_flags(is_remote),
        }
    })
}

/// The newest within the limit are kept.
fn read_messages<M: Message + Default + Debug>(
    input: &mut Input<'_>,
    read: impl Fn(&mut Input<'_>, &mut Vec<u8>) -> M,
) -> (Messages, Vec<M>, u32) {
    let limit = input.maybe(|input| input.below(4));
    let mut messages = Messages::new(limit);
    let mut expected = Vec::new();
    let mut dropped = 0;
    for _ in 0..input.below(8) {
        let mut framed = Vec::new();
        expected.push(read(input, &mut framed));
        let full = messages.push(&framed);
        let beyond = limit.is_some_and(|limit| expected.len() > limit);
        assert_eq!(full, beyond);
        if beyond {
            expected.remove(0);
            dropped += 1;
        }
    }
    if input.byte() == 255 {
        messages.count_dropped(7);
        dropped += 7;
    }
    assert_eq!((messages.len(), messages.dropped()), (expected.len(), dropped));
    assert_eq!(messages.iter().count(), expected.len());
    for (body, expected) in messages.iter().zip(&expected) {
        assert_decodes_to(body, expected);
    }
    (messages, expected, dropped)
}
