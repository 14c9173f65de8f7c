//! Traces as they arrive, with their log records, until somebody takes them out or there is no room for them.
//!
//! The spans of a trace arrive in several requests, so a trace is complete once it has been quiet for a moment. It is
//! given longer while something of it is known to be on its way: a span's parent of the same process, the span of a log
//! record, or the log records of a service that sends some.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{Span, SpanFlags};

use super::logs::ReceivedLog;
use crate::attributes::service_name;
use crate::filter::Filter;
use crate::measure::span_bytes;

/// How long a trace must have been quiet to be taken as complete.
const QUIET: Duration = Duration::from_millis(300);
/// The same while more is on its way: a little more than the 5 s between two batches of a BatchSpanProcessor.
const QUIET_WHILE_MORE_COMES: Duration = Duration::from_secs(6);
/// How long a trace waits for log records where batches are sent every half second.
const QUIET_BESIDE_PROGRAM: Duration = Duration::from_millis(1_200);
/// Of which it is known that they send log records.
const MAX_LOGGING_SERVICES: usize = 100;

/// What is held at most; beyond it the oldest trace goes.
pub struct Bounds {
    pub traces: usize,
    /// Spans and log records.
    pub items: usize,
    /// Of them in memory.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { traces: 1_000, items: 20_000, bytes: 64 * 1024 * 1024 }
    }
}

pub struct ReceivedSpan {
    pub service: Arc<str>,
    pub span: Span,
}

/// Log records may be all that has arrived of a trace.
pub struct Trace {
    pub id: Vec<u8>,
    pub spans: Vec<ReceivedSpan>,
    pub logs: Vec<ReceivedLog>,
    bytes: usize,
    /// The place in the order of arrival, which is unique where an `Instant` need not be.
    arrival: u64,
    last_item_at: Instant,
    span_ids: HashSet<Vec<u8>>,
    missing_spans: HashSet<Vec<u8>>,
    waits_for_logs: Duration,
}

impl Trace {
    fn quiet_at(&self) -> Instant {
        let spans_come = !self.missing_spans.is_empty() || self.spans.is_empty();
        self.last_item_at + if spans_come { QUIET_WHILE_MORE_COMES } else { QUIET.max(self.waits_for_logs) }
    }

    pub fn is_in(&self, filter: &Filter) -> bool {
        self.spans.iter().any(|received| filter.has_span(&received.service, &received.span))
    }

    /// Its log records if it is shown at all. Where records are all that there is, each is asked for its own right.
    pub fn logs_in(&self, filter: &Filter) -> Option<Vec<&ReceivedLog>> {
        if self.is_in(filter) {
            return Some(self.logs.iter().collect());
        }
        let has_log = |received: &&ReceivedLog| filter.has_log(&received.service, &received.record);
        let logs: Vec<_> = self.logs.iter().filter(has_log).collect();
        (self.spans.is_empty() && !logs.is_empty()).then_some(logs)
    }

    /// The first and the last nanosecond of its spans.
    pub fn times(&self) -> (u64, u64) {
        let spans = || self.spans.iter().map(|received| &received.span);
        let start = spans().map(|span| span.start_time_unix_nano).min().unwrap_or(0);
        let end = spans().map(|span| span.end_time_unix_nano).max().unwrap_or(0);
        (start, end)
    }
}

pub struct Traces {
    bounds: Bounds,
    /// How long a trace waits for the log records of a service that sends some, and of another one.
    log_patience: (Duration, Duration),
    traces: HashMap<Vec<u8>, Trace>,
    /// Their ids in the order of arrival: a flood of traces lets one go for each that comes.
    order: BTreeMap<u64, Vec<u8>>,
    logging_services: HashSet<Arc<str>>,
    items: usize,
    bytes: usize,
    arrivals: u64,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            bounds: Bounds::default(),
            log_patience: (QUIET_WHILE_MORE_COMES, Duration::ZERO),
            traces: HashMap::new(),
            order: BTreeMap::new(),
            logging_services: HashSet::new(),
            items: 0,
            bytes: 0,
            arrivals: 0,
        }
    }
}

impl Traces {
    /// Of a program whose batches are sent every half second.
    pub fn beside_program() -> Self {
        Self { log_patience: (QUIET_BESIDE_PROGRAM, QUIET_BESIDE_PROGRAM), ..Self::default() }
    }

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
                self.make_room(&mut evicted);
            }
        }
        evicted
    }

    fn add_span(&mut self, received: ReceivedSpan, now: Instant) {
        let span = &received.span;
        // The ids are kept up to five times: in the span, and in what finds it, its parent and its trace.
        let ids = span.trace_id.len() + span.span_id.len() + span.parent_span_id.len();
        let bytes = span_bytes(span) + received.service.len() + 5 * ids;
        let (of_logging, of_other) = self.log_patience;
        let patience = if self.logging_services.contains(&received.service) { of_logging } else { of_other };
        let trace = self.trace(&span.trace_id, bytes, now);
        if trace.logs.is_empty() {
            trace.waits_for_logs = trace.waits_for_logs.max(patience);
        }
        trace.span_ids.insert(span.span_id.clone());
        trace.missing_spans.remove(&span.span_id);
        if is_parent_local(span) && !trace.span_ids.contains(&span.parent_span_id) {
            trace.missing_spans.insert(span.parent_span_id.clone());
        }
        trace.spans.push(received);
    }

    /// Takes a log record that belongs to a trace. Returns the traces that had to go to make room, oldest first.
    pub fn add_log(&mut self, received: ReceivedLog, now: Instant) -> Vec<Trace> {
        if self.logging_services.len() < MAX_LOGGING_SERVICES {
            self.logging_services.insert(received.service.clone());
        }
        let record = &received.record;
        let ids = record.trace_id.len() + record.span_id.len();
        let trace = self.trace(&record.trace_id, received.bytes() + 5 * ids, now);
        trace.waits_for_logs = Duration::ZERO;
        if !trace.span_ids.contains(&record.span_id) {
            trace.missing_spans.insert(record.span_id.clone());
        }
        trace.logs.push(received);
        let mut evicted = Vec::new();
        self.make_room(&mut evicted);
        evicted
    }

    /// The trace to which an item of so many bytes is being added.
    fn trace(&mut self, id: &[u8], bytes: usize, now: Instant) -> &mut Trace {
        self.bytes += bytes;
        self.items += 1;
        let trace = self.traces.entry(id.to_vec()).or_insert_with(|| {
            self.arrivals += 1;
            self.order.insert(self.arrivals, id.to_vec());
            Trace {
                id: id.to_vec(),
                spans: Vec::new(),
                logs: Vec::new(),
                bytes: 0,
                arrival: self.arrivals,
                last_item_at: now,
                span_ids: HashSet::new(),
                missing_spans: HashSet::new(),
                waits_for_logs: Duration::ZERO,
            }
        });
        trace.last_item_at = now;
        trace.bytes += bytes;
        trace
    }

    fn make_room(&mut self, evicted: &mut Vec<Trace>) {
        while self.is_over() {
            evicted.extend(self.take_oldest());
        }
    }

    fn is_over(&self) -> bool {
        self.traces.len() > self.bounds.traces || self.items > self.bounds.items || self.bytes > self.bounds.bytes
    }

    fn take_oldest(&mut self) -> Option<Trace> {
        let (_, id) = self.order.pop_first()?;
        self.take(&id)
    }

    fn take(&mut self, id: &[u8]) -> Option<Trace> {
        let trace = self.traces.remove(id)?;
        self.order.remove(&trace.arrival);
        self.items -= trace.spans.len() + trace.logs.len();
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

    pub fn get(&self, id: &[u8]) -> Option<&Trace> {
        self.traces.get(id)
    }

    /// The one that began to arrive last comes first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Trace> {
        self.order.values().rev().filter_map(|id| self.traces.get(id))
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
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
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
        let mut traces = Traces::default();
        let start = Instant::now();
        let step = QUIET / 2 + Duration::from_millis(1);
        traces.add(request([(1, 1, 9, 0)]), start);
        traces.add(request([(1, 2, 1, 0)]), start + step);
        assert!(traces.take_quiet(start + QUIET).is_empty());
        assert_eq!(traces.next_quiet(), Some(start + step + QUIET));
        assert_eq!(ids(&traces.take_quiet(start + step + QUIET)), [(1, 2)]);
        assert_eq!(traces.next_quiet(), None);
        assert_eq!((traces.items, traces.bytes), (0, 0));
    }

    #[test]
    fn a_trace_whose_local_parent_is_missing_is_given_longer() {
        let mut traces = Traces::default();
        let start = Instant::now();
        traces.add(request([(1, 2, 1, 0x101)]), start);
        assert_eq!(traces.next_quiet(), Some(start + QUIET_WHILE_MORE_COMES));
        traces.add(request([(1, 1, 0, 0x101)]), start);
        assert_eq!(traces.next_quiet(), Some(start + QUIET));
    }

    #[test]
    fn a_remote_parent_is_not_waited_for() {
        let mut traces = Traces::default();
        let start = Instant::now();
        traces.add(request([(1, 2, 1, 0x301)]), start);
        assert_eq!(traces.next_quiet(), Some(start + QUIET));
    }

    #[test]
    fn beyond_each_bound_the_oldest_trace_goes() {
        let mut one = Traces::default();
        one.add(request([(1, 1, 0, 0)]), Instant::now());
        let room = 2 * one.bytes;
        let bounds = |traces, items, bytes| Bounds { traces, items, bytes };
        for bounds in [bounds(2, 100, 10 * room), bounds(100, 2, 10 * room), bounds(100, 100, room)] {
            let mut traces = Traces::bounded(bounds);
            let evicted = traces.add(request([(1, 1, 0, 0), (2, 1, 0, 0), (3, 1, 0, 0)]), Instant::now());
            assert_eq!(ids(&evicted), [(1, 1)]);
            assert_eq!(ids(&traces.take_all()), [(2, 1), (3, 1)]);
        }
    }

    fn log(trace: u8, span: u8) -> ReceivedLog {
        let record = LogRecord { trace_id: vec![trace; 16], span_id: vec![span; 8], ..LogRecord::default() };
        ReceivedLog { service: service_name(None).into(), record }
    }

    #[test]
    fn a_record_waits_for_its_span() {
        let mut traces = Traces::default();
        let start = Instant::now();
        traces.add_log(log(1, 2), start);
        assert_eq!(traces.next_quiet(), Some(start + QUIET_WHILE_MORE_COMES));
        traces.add(request([(1, 1, 0, 0)]), start);
        assert_eq!(traces.next_quiet(), Some(start + QUIET_WHILE_MORE_COMES));
        traces.add(request([(1, 2, 1, 0)]), start);
        assert_eq!(traces.next_quiet(), Some(start + QUIET));
        let taken = traces.take_all();
        assert_eq!((taken[0].spans.len(), taken[0].logs.len()), (2, 1));
        assert_eq!((traces.items, traces.bytes), (0, 0));
    }

    #[test]
    fn spans_wait_for_the_records_of_a_service_that_sends_some() {
        let mut traces = Traces::default();
        let start = Instant::now();
        traces.add(request([(1, 1, 0, 0)]), start);
        assert_eq!(traces.next_quiet(), Some(start + QUIET));
        traces.add_log(log(1, 1), start);
        traces.take_all();
        traces.add(request([(2, 1, 0, 0)]), start);
        assert_eq!(traces.next_quiet(), Some(start + QUIET_WHILE_MORE_COMES));
        traces.add_log(log(2, 1), start);
        assert_eq!(traces.next_quiet(), Some(start + QUIET));
    }

    #[test]
    fn beside_a_program_every_trace_waits_a_little_for_records() {
        let mut traces = Traces::beside_program();
        let start = Instant::now();
        for trace in [1, 2] {
            traces.add(request([(trace, 1, 0, 0)]), start);
            assert_eq!(traces.next_quiet(), Some(start + QUIET_BESIDE_PROGRAM));
            traces.add_log(log(trace, 1), start);
            assert_eq!(traces.next_quiet(), Some(start + QUIET));
            traces.take_all();
        }
    }
}
