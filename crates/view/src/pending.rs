//! Spans that wait for the rest of their trace.
//!
//! The spans of a trace arrive in several requests, so a trace is printed once it has been quiet for a moment. It is
//! given longer while a span's parent is known to be of the same process and has not arrived: a parent ends after its
//! children, and a batch may have been sent in between.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{Span, SpanFlags};

use crate::attributes::service_name;
use crate::measure::span_bytes;

/// How long a trace must have been quiet to be taken as complete.
const QUIET: Duration = Duration::from_millis(300);
/// The same while a local parent is missing: a little more than the 5 s between two batches of a BatchSpanProcessor.
const QUIET_WITHOUT_PARENT: Duration = Duration::from_secs(6);

/// What may wait at most; beyond it the oldest trace is let go at once.
pub struct Bounds {
    pub traces: usize,
    pub spans: usize,
    /// Of the spans in memory.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { traces: 1_000, spans: 20_000, bytes: 64 * 1024 * 1024 }
    }
}

pub struct ReceivedSpan {
    pub service: Arc<str>,
    pub span: Span,
}

pub struct Trace {
    pub id: Vec<u8>,
    pub spans: Vec<ReceivedSpan>,
    bytes: usize,
    /// The place in the order of arrival, which is unique where an `Instant` need not be.
    arrival: u64,
    last_span_at: Instant,
    span_ids: HashSet<Vec<u8>>,
    missing_local_parents: HashSet<Vec<u8>>,
}

impl Trace {
    fn quiet_at(&self) -> Instant {
        let quiet = if self.missing_local_parents.is_empty() { QUIET } else { QUIET_WITHOUT_PARENT };
        self.last_span_at + quiet
    }
}

#[derive(Default)]
pub struct PendingTraces {
    bounds: Bounds,
    traces: HashMap<Vec<u8>, Trace>,
    /// Their ids in the order of arrival: a flood of traces lets one go for each that comes.
    order: BTreeMap<u64, Vec<u8>>,
    spans: usize,
    bytes: usize,
    arrivals: u64,
}

impl PendingTraces {
    #[cfg(test)]
    pub fn bounded(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Takes the spans of a request. Returns the traces that had to go to make room, oldest first.
    pub fn add(&mut self, request: ExportTraceServiceRequest, now: Instant) -> Vec<Trace> {
        let mut evicted = Vec::new();
        for resource in request.resource_spans {
            let service: Arc<str> = service_name(resource.resource.as_ref()).into();
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.add_span(ReceivedSpan { service: service.clone(), span }, now);
                while self.is_over() {
                    evicted.extend(self.take_oldest());
                }
            }
        }
        evicted
    }

    fn add_span(&mut self, received: ReceivedSpan, now: Instant) {
        let span = &received.span;
        // The ids are kept up to five times: in the span, and in what finds it, its parent and its trace.
        let ids = span.trace_id.len() + span.span_id.len() + span.parent_span_id.len();
        let bytes = span_bytes(span) + received.service.len() + 5 * ids;
        let trace = self.traces.entry(span.trace_id.clone()).or_insert_with(|| {
            self.arrivals += 1;
            self.order.insert(self.arrivals, span.trace_id.clone());
            Trace {
                id: span.trace_id.clone(),
                spans: Vec::new(),
                bytes: 0,
                arrival: self.arrivals,
                last_span_at: now,
                span_ids: HashSet::new(),
                missing_local_parents: HashSet::new(),
            }
        });
        trace.span_ids.insert(span.span_id.clone());
        trace.missing_local_parents.remove(&span.span_id);
        if is_parent_local(span) && !trace.span_ids.contains(&span.parent_span_id) {
            trace.missing_local_parents.insert(span.parent_span_id.clone());
        }
        trace.last_span_at = now;
        trace.bytes += bytes;
        trace.spans.push(received);
        self.bytes += bytes;
        self.spans += 1;
    }

    fn is_over(&self) -> bool {
        self.traces.len() > self.bounds.traces || self.spans > self.bounds.spans || self.bytes > self.bounds.bytes
    }

    fn take_oldest(&mut self) -> Option<Trace> {
        let (_, id) = self.order.pop_first()?;
        self.take(&id)
    }

    fn take(&mut self, id: &[u8]) -> Option<Trace> {
        let trace = self.traces.remove(id)?;
        self.order.remove(&trace.arrival);
        self.spans -= trace.spans.len();
        self.bytes -= trace.bytes;
        Some(trace)
    }

    /// When the next trace will have been quiet for long enough, if nothing arrives.
    pub fn next_quiet(&self) -> Option<Instant> {
        self.traces.values().map(Trace::quiet_at).min()
    }

    /// The traces that have been quiet for long enough, in the order in which they began to arrive.
    pub fn take_quiet(&mut self, now: Instant) -> Vec<Trace> {
        self.take_where(|trace| trace.quiet_at() <= now)
    }

    pub fn take_all(&mut self) -> Vec<Trace> {
        self.take_where(|_| true)
    }

    fn take_where(&mut self, wanted: impl Fn(&Trace) -> bool) -> Vec<Trace> {
        let ids: Vec<_> = self.order.values().filter(|id| self.traces.get(*id).is_some_and(&wanted)).cloned().collect();
        ids.iter().filter_map(|id| self.take(id)).collect()
    }
}

/// Whether the peer says that the parent is of its own process. Old SDKs say nothing, and are not waited for.
fn is_parent_local(span: &Span) -> bool {
    let known = span.flags & SpanFlags::ContextHasIsRemoteMask as u32 != 0;
    let remote = span.flags & SpanFlags::ContextIsRemoteMask as u32 != 0;
    !span.parent_span_id.is_empty() && known && !remote
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};

    use super::*;

    fn request(spans: impl IntoIterator<Item = (u8, u8, u8, u32)>) -> ExportTraceServiceRequest {
        let spans = spans.into_iter().map(|(trace, id, parent, flags)| Span {
            trace_id: vec![trace; 16],
            span_id: vec![id; 8],
            parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
            flags,
            ..Span::default()
        });
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }],
                ..ResourceSpans::default()
            }],
        }
    }

    fn ids(traces: &[Trace]) -> Vec<(u8, usize)> {
        traces.iter().map(|trace| (trace.id[0], trace.spans.len())).collect()
    }

    #[test]
    fn a_trace_is_taken_once_it_is_quiet_and_every_span_prolongs_it() {
        let mut pending = PendingTraces::default();
        let start = Instant::now();
        let step = QUIET / 2 + Duration::from_millis(1);
        pending.add(request([(1, 1, 9, 0)]), start);
        pending.add(request([(1, 2, 1, 0)]), start + step);
        assert!(pending.take_quiet(start + QUIET).is_empty());
        assert_eq!(pending.next_quiet(), Some(start + step + QUIET));
        assert_eq!(ids(&pending.take_quiet(start + step + QUIET)), [(1, 2)]);
        assert_eq!(pending.next_quiet(), None);
        assert_eq!((pending.spans, pending.bytes), (0, 0));
    }

    #[test]
    fn a_trace_whose_local_parent_is_missing_is_given_longer() {
        let mut pending = PendingTraces::default();
        let start = Instant::now();
        pending.add(request([(1, 2, 1, 0x101)]), start);
        assert_eq!(pending.next_quiet(), Some(start + QUIET_WITHOUT_PARENT));
        pending.add(request([(1, 1, 0, 0x101)]), start);
        assert_eq!(pending.next_quiet(), Some(start + QUIET));
    }

    #[test]
    fn a_remote_parent_is_not_waited_for() {
        let mut pending = PendingTraces::default();
        let start = Instant::now();
        pending.add(request([(1, 2, 1, 0x301)]), start);
        assert_eq!(pending.next_quiet(), Some(start + QUIET));
    }

    #[test]
    fn beyond_each_bound_the_oldest_trace_goes() {
        let mut one = PendingTraces::default();
        one.add(request([(1, 1, 0, 0)]), Instant::now());
        let room = 2 * one.bytes;
        let bounds = |traces, spans, bytes| Bounds { traces, spans, bytes };
        for bounds in [bounds(2, 100, 10 * room), bounds(100, 2, 10 * room), bounds(100, 100, room)] {
            let mut pending = PendingTraces::bounded(bounds);
            let evicted = pending.add(request([(1, 1, 0, 0), (2, 1, 0, 0), (3, 1, 0, 0)]), Instant::now());
            assert_eq!(ids(&evicted), [(1, 1)]);
            assert_eq!(ids(&pending.take_all()), [(2, 1), (3, 1)]);
        }
    }
}
