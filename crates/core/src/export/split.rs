//! An export request that was too large for its receiver, cut in two.
//!
//! It works on the encoded request, so that nothing else has to be kept while the request is under way. The requests of
//! all signals are alike: resources (field 1), in them scopes (2), in them items (2). All other fields describe the
//! resource or the scope, and are length-delimited.

use std::ops::Range;

use bytes::Bytes;

use crate::otlp::wire::{self, Fields, Value, len_tag};

const RESOURCES: u32 = 1;
const SCOPES: u32 = 2;
const ITEMS: u32 = 2;

pub struct Part {
    pub request: Bytes,
    pub items: u64,
}

/// The items of a resource or a scope, and the fields that describe it.
struct Group<'a, T> {
    description: Vec<(u32, &'a [u8])>,
    members: Vec<T>,
}

type Scope<'a> = Group<'a, &'a [u8]>;
type Resource<'a> = Group<'a, Scope<'a>>;

impl<'a, T> Group<'a, T> {
    fn read(message: &'a [u8], members: u32, read: impl Fn(&'a [u8]) -> T) -> Self {
        let mut group = Group { description: Vec::new(), members: Vec::new() };
        for (field, body) in messages(message) {
            match field == members {
                true => group.members.push(read(body)),
                false => group.description.push((field, body)),
            }
        }
        group
    }
}

fn messages(message: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    Fields::of(message).filter_map(|(field, value)| match value {
        Value::Bytes(body) => Some((field, body)),
        _ => None,
    })
}

fn read(request: &[u8]) -> Vec<Resource<'_>> {
    let scope = |body| Scope::read(body, ITEMS, |item| item);
    let resources = messages(request).filter(|(field, _)| *field == RESOURCES);
    resources.map(|(_, body)| Resource::read(body, SCOPES, scope)).collect()
}

/// The request in two of about the same length, the order kept; none if it has but one item. An item counts as `count`
/// says: a metric as its data points.
pub fn halves(request: &[u8], count: impl Fn(&[u8]) -> u64) -> Option<[Part; 2]> {
    let resources = read(request);
    let items: Vec<&[u8]> = resources.iter().flat_map(|r| &r.members).flat_map(|s| &s.members).copied().collect();
    if items.len() < 2 {
        return None;
    }
    let half = items.iter().map(|item| framed_len(item)).sum::<usize>() / 2;
    let mut first = 0;
    let cut = items.iter().take_while(|item| {
        first += framed_len(item);
        first <= half
    });
    let cut = cut.count().clamp(1, items.len() - 1);
    let part = |range: Range<usize>| Part {
        items: items[range.clone()].iter().map(|item| count(item)).sum(),
        request: write(&resources, range),
    };
    Some([part(0..cut), part(cut..items.len())])
}

fn framed_len(item: &[u8]) -> usize {
    1 + wire::varint_len(item.len() as u64) + item.len()
}

/// The items of a request.
pub fn items(request: &[u8]) -> impl Iterator<Item = &[u8]> {
    read(request).into_iter().flat_map(|r| r.members).flat_map(|s| s.members)
}

/// A request of the items whose number, counted through, is in `range`.
fn write(resources: &[Resource<'_>], range: Range<usize>) -> Bytes {
    let mut out = Vec::new();
    let mut before = 0;
    for resource in resources {
        let start = out.len();
        for scope in &resource.members {
            let end = before + scope.members.len();
            let within = range.start.clamp(before, end) - before..range.end.clamp(before, end) - before;
            before = end;
            if within.is_empty() {
                continue;
            }
            let start = out.len();
            put_all(&mut out, &scope.description);
            for item in &scope.members[within] {
                wire::put_bytes(&mut out, len_tag(ITEMS as u8), item);
            }
            wire::frame_from(&mut out, start, len_tag(SCOPES as u8));
        }
        if out.len() > start {
            put_all(&mut out, &resource.description);
            wire::frame_from(&mut out, start, len_tag(RESOURCES as u8));
        }
    }
    out.into()
}

fn put_all(out: &mut Vec<u8>, fields: &[(u32, &[u8])]) {
    for (field, body) in fields {
        wire::put_bytes(out, len_tag(*field as u8), body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::resource::v1 as resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message;

    /// `[resources][scopes][lengths of names]`, all described.
    fn request(shape: &[&[&[usize]]]) -> ExportTraceServiceRequest {
        let mut id = 0u64;
        let mut next = || {
            id += 1;
            id
        };
        let mut scope = |names: &[usize]| ScopeSpans {
            scope: Some(InstrumentationScope { name: next().to_string(), ..Default::default() }),
            spans: names
                .iter()
                .map(|len| Span { name: "n".repeat(*len), span_id: next().to_be_bytes().into(), ..Default::default() })
                .collect(),
            schema_url: "scope".into(),
        };
        let resource_spans = shape.iter().enumerate().map(|(i, scopes)| ResourceSpans {
            resource: Some(resource::Resource { dropped_attributes_count: i as u32, ..Default::default() }),
            scope_spans: scopes.iter().map(|names| scope(names)).collect(),
            schema_url: "resource".into(),
        });
        ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
    }

    /// Each span with all that stands around it.
    fn flat(request: &ExportTraceServiceRequest) -> Vec<(ResourceSpans, ScopeSpans, Span)> {
        let mut all = Vec::new();
        for resource in &request.resource_spans {
            let described = ResourceSpans { scope_spans: vec![], ..resource.clone() };
            assert!(!resource.scope_spans.is_empty());
            for scope in &resource.scope_spans {
                let of = ScopeSpans { spans: vec![], ..scope.clone() };
                assert!(!scope.spans.is_empty());
                all.extend(scope.spans.iter().map(|span| (described.clone(), of.clone(), span.clone())));
            }
        }
        all
    }

    #[test]
    fn the_halves_have_every_span_once_in_its_place() {
        // Decoding takes Miri long.
        const MANY: usize = if cfg!(miri) { 5 } else { 100 };
        let shapes: [&[&[&[usize]]]; 6] = [
            &[&[&[1, 1]]],
            &[&[&[1000, 1, 1, 1]]],
            &[&[&[1, 1, 1, 1000]]],
            &[&[&[5, 300], &[200]], &[&[7], &[9, 20_000, 3], &[1]]],
            &[&[&[1]], &[&[1]], &[&[1]]],
            &[&[&[0; MANY]], &[&[200; MANY / 2], &[3; MANY / 5]]],
        ];
        for shape in shapes {
            let whole = request(shape);
            let [one, two] = halves(&whole.encode_to_vec(), |_| 1).unwrap();
            let parts = [&one, &two].map(|part| ExportTraceServiceRequest::decode(&*part.request).unwrap());
            let [first, second] = [&parts[0], &parts[1]].map(flat);
            assert_eq!([one.items, two.items], [first.len() as u64, second.len() as u64]);
            assert!(!first.is_empty() && !second.is_empty());
            assert_eq!([first, second].concat(), flat(&whole), "{shape:?}");
        }
    }

    #[test]
    fn the_halves_are_about_equal_in_bytes() {
        const MANY: usize = if cfg!(miri) { 8 } else { 100 };
        let whole = request(&[&[&[10; 10 * MANY]], &[&[100; MANY]]]).encode_to_vec();
        let [one, two] = halves(&whole, |_| 1).unwrap();
        assert!(one.request.len().abs_diff(two.request.len()) < 200, "{} {}", one.request.len(), two.request.len());
    }

    #[test]
    fn halving_again_and_again_ends_at_single_spans() {
        const MANY: usize = if cfg!(miri) { 2 } else { 40 };
        let whole = request(&[&[&[5, 300, 0], &[200; 13]], &[&[7; MANY], &[1]]]);
        let mut waiting = vec![Bytes::from(whole.encode_to_vec())];
        let mut single = Vec::new();
        while let Some(part) = waiting.pop() {
            match halves(&part, |_| 1) {
                Some([one, two]) => waiting.extend([two.request, one.request]),
                None => single.extend(flat(&ExportTraceServiceRequest::decode(part).unwrap())),
            }
        }
        assert_eq!(single, flat(&whole));
    }

    #[test]
    fn what_is_no_more_than_one_span_is_not_cut() {
        assert!(halves(&request(&[&[&[100]]]).encode_to_vec(), |_| 1).is_none());
        assert!(halves(b"", |_| 1).is_none());
        assert!(halves(b"not protobuf", |_| 1).is_none());
        assert_eq!(items(&request(&[&[&[1, 2]], &[&[3]]]).encode_to_vec()).count(), 3);
    }

    #[test]
    fn the_requests_of_other_signals_are_cut_alike() {
        let record = |severity_text: &str| LogRecord { severity_text: severity_text.into(), ..Default::default() };
        let logs = |records| ScopeLogs { log_records: records, schema_url: "s".into(), ..Default::default() };
        let of = |scope_logs| ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs { scope_logs, schema_url: "r".into(), ..Default::default() }],
        };
        let whole = of(vec![logs(vec![record("a"), record("b")]), logs(vec![record("c")])]);
        let [one, two] = halves(&whole.encode_to_vec(), |_| 1).unwrap();
        assert_eq!(ExportLogsServiceRequest::decode(one.request).unwrap(), of(vec![logs(vec![record("a")])]));
        let rest = of(vec![logs(vec![record("b")]), logs(vec![record("c")])]);
        assert_eq!(ExportLogsServiceRequest::decode(two.request).unwrap(), rest);
    }
}
