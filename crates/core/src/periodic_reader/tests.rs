use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message;

use super::collection::{Request, collect};
use super::worker::room_of;
use super::*;
use crate::client::{Cause, ClientConfig, Compression, Outcome, Protocol, Signal};
use crate::export::Exporter;
use crate::metrics::{
    Aggregation, Budget, Item, Reader, ReservoirKind, Scalar, Shape, Stream, Temporality, hash_of, metric,
};
use crate::otlp::{Metric, Number, Resource, Scope, ScopeMetrics};

const LATER: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(200);

/// A reader, what it has exported, and how its requests are answered.
struct Case {
    reader: Arc<PeriodicReader>,
    exporter: Arc<Exporter>,
    requests: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    scope: Arc<Scope>,
    stream: Arc<Stream>,
}

fn delivered() -> Outcome {
    Outcome::Delivered { rejected: 0, message: String::new() }
}

fn case<F>(interval: Option<Duration>, answer: impl Fn(usize) -> F + Send + Sync + 'static) -> Case
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let config = ClientConfig {
        signal: Signal::Metrics,
        protocol: Protocol::HttpProtobuf,
        endpoint: "http://127.0.0.1:1/v1/metrics".to_owned(),
        headers: vec![],
        timeout: Duration::from_secs(5),
        compression: Compression::None,
        user_agent: "test".into(),
        tls: Default::default(),
        retryable_codes: None,
        proxy: None,
    };
    let mut exporter = Exporter::new(config).unwrap();
    let requests: Arc<Mutex<Vec<_>>> = Arc::default();
    let seen = Arc::clone(&requests);
    exporter.stand_in = Some(Box::new(move |request: Bytes| {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(ExportMetricsServiceRequest::decode(request).unwrap());
            seen.len()
        };
        Box::pin(answer(number))
    }));
    let exporter = Arc::new(exporter);
    let config = PeriodicReaderConfig::new(interval, LATER, None, None);
    let reader = Arc::new(PeriodicReader::new(config, Arc::clone(&exporter)));
    let told: Weak<PeriodicReader> = Arc::downgrade(&reader);
    let stream = stream(Some(told));
    let resource = Arc::new(Resource { message: vec![], schema_url: String::new() });
    let scope = Arc::new(Scope { resource, message: vec![], schema_url: String::new() });
    reader.add((Arc::clone(&scope), Arc::clone(&stream)));
    Case { reader, exporter, requests, scope, stream }
}

fn stream(reader: Option<Weak<dyn Reader>>) -> Arc<Stream> {
    let shape = Shape {
        name: "counter".into(),
        description: String::new(),
        unit: String::new(),
        aggregation: Aggregation::Sum { is_monotonic: true },
        temporality: Temporality::Delta,
        is_synchronous: true,
        attribute_keys: None,
        reservoir: ReservoirKind::FixedSize(1),
        max_series: usize::MAX,
    };
    Arc::new(Stream::new(shape, Arc::new(Budget::new(usize::MAX)), reader))
}

fn count(stream: &Stream, amount: i64) {
    count_with(stream, 1, amount);
}

fn count_with(stream: &Stream, key: i64, amount: i64) {
    let items = [Item { key: "key", value: Scalar::Int(key) }];
    stream.measure(&items, hash_of(&items), Number::Int(amount), None, || 1);
}

impl Case {
    fn count(&self, amount: i64) {
        count(&self.stream, amount);
    }

    fn flush(&self) -> bool {
        self.reader.wait(self.reader.ask(Found::default()), Instant::now() + LATER)
    }

    /// The deltas that arrived, in their order.
    fn sums(&self) -> Vec<i64> {
        let requests = self.requests.lock().unwrap();
        let metrics = requests.iter().flat_map(|r| &r.resource_metrics).flat_map(|r| &r.scope_metrics);
        let points = metrics.flat_map(|s| &s.metrics).flat_map(|metric| match &metric.data {
            Some(Data::Sum(sum)) => &sum.data_points,
            other => panic!("a counter is a sum: {other:?}"),
        });
        let value = |value: &Option<Value>| match value {
            Some(Value::AsInt(value)) => *value,
            other => panic!("integers were added: {other:?}"),
        };
        points.map(|point| value(&point.value)).collect()
    }

    fn wait_for_sum(&self, sum: i64) {
        let until = Instant::now() + LATER;
        while self.sums().iter().sum::<i64>() != sum {
            assert!(Instant::now() < until, "{:?}", self.sums());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_flush_exports_what_was_measured_once() {
    let case = case(None, |_| async { delivered() });
    assert!(case.flush(), "nothing was measured");
    case.count(2);
    case.count(3);
    assert!(case.flush());
    assert!(case.flush());
    assert_eq!(case.sums(), [5]);
    assert_eq!(case.exporter.counts().exported, 1);
}

#[test]
fn each_interval_has_its_round() {
    let case = case(Some(Duration::from_millis(5)), |_| async { delivered() });
    for sum in 1..=5 {
        case.count(1);
        case.wait_for_sum(sum);
    }
}

#[test]
fn where_somebody_else_ticks_there_are_only_the_rounds_that_are_asked_for() {
    let case = case(Some(Duration::from_millis(5)), |_| async { delivered() });
    case.reader.tick_elsewhere(true);
    case.count(1);
    std::thread::sleep(MOMENT);
    assert!(case.sums().is_empty());
    assert!(case.flush());
    assert_eq!(case.sums(), [1]);
}

#[test]
fn a_panic_costs_its_round() {
    let case = case(None, |number| async move { if number == 1 { panic!("on purpose") } else { delivered() } });
    case.count(1);
    assert!(case.flush());
    case.count(2);
    assert!(case.flush());
    assert_eq!(case.sums(), [1, 2]);
    assert_eq!((case.exporter.counts().exported, case.exporter.counts().failed), (1, 1));
}

#[test]
fn a_slow_export_delays_no_measurement_and_the_next_round_has_all() {
    let go_on = Arc::new(AtomicBool::new(false));
    let case = case(None, {
        let go_on = Arc::clone(&go_on);
        move |_| {
            let go_on = Arc::clone(&go_on);
            async move {
                while !go_on.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                delivered()
            }
        }
    });
    case.count(1);
    let first = case.reader.ask(Found::default());
    case.wait_for_sum(1);
    case.count(2);
    let second = case.reader.ask(Found::default());
    case.count(3);
    let third = case.reader.ask(Found::default());
    assert!(!case.reader.wait(first, Instant::now() + MOMENT));
    go_on.store(true, Ordering::Relaxed);
    for ticket in [first, second, third] {
        assert!(case.reader.wait(ticket, Instant::now() + LATER));
    }
    assert_eq!(case.sums(), [1, 5]);
}

#[test]
fn a_shutdown_exports_once_more_and_then_no_more() {
    let case = case(Some(Duration::from_secs(3600)), |_| async { delivered() });
    case.count(1);
    assert!(case.reader.wait(case.reader.start_shutdown(true), Instant::now() + LATER));
    case.count(2);
    assert!(case.flush(), "there is nothing to wait for");
    assert_eq!(case.sums(), [1]);
}

#[test]
fn a_shutdown_without_a_last_round_waits_for_the_one_under_way() {
    let case = case(Some(Duration::from_secs(3600)), |_| async {
        tokio::time::sleep(MOMENT).await;
        delivered()
    });
    case.count(1);
    let ticket = case.reader.ask(Found::default());
    case.wait_for_sum(1);
    case.count(2);
    assert!(case.reader.wait(case.reader.start_shutdown(false), Instant::now() + LATER));
    assert!(case.reader.wait(ticket, Instant::now()));
    assert_eq!(case.sums(), [1]);
    assert_eq!(case.exporter.counts().exported, 1);
}

#[test]
fn what_is_abandoned_counts_as_failed() {
    let case = case(Some(Duration::from_secs(3600)), |_| std::future::pending());
    case.count(1);
    let ticket = case.reader.start_shutdown(true);
    assert!(!case.reader.wait(ticket, Instant::now() + MOMENT));
    case.reader.abandon();
    assert!(case.reader.wait(ticket, Instant::now() + LATER));
    assert_eq!((case.exporter.counts().exported, case.exporter.counts().failed), (0, 1));
}

#[test]
fn a_refusal_counts_its_deltas_as_failed() {
    let case = case(None, |number| async move {
        match number {
            1 => Outcome::Failed { reason: "refused".into(), cause: Cause::Other },
            _ => delivered(),
        }
    });
    case.count(1);
    assert!(case.flush());
    case.count(2);
    assert!(case.flush());
    assert_eq!(case.sums(), [1, 2]);
    assert_eq!((case.exporter.counts().exported, case.exporter.counts().failed), (1, 1));
}

#[test]
fn a_reader_that_is_dropped_delivers() {
    let case = case(Some(Duration::from_secs(3600)), |_| async {
        tokio::time::sleep(MOMENT).await;
        delivered()
    });
    case.count(1);
    let Case { reader, exporter, .. } = case;
    drop(reader);
    let until = Instant::now() + LATER;
    while exporter.counts().exported != 1 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn found_by(stream: &Stream) -> Metric {
    metric(stream, 77, &mut 0).unwrap().unwrap()
}

#[test]
fn what_somebody_else_found_goes_along_in_its_scope_at_its_own_time() {
    let case = case(None, |_| async { delivered() });
    case.count(1);
    let other = stream(None);
    count(&other, 2);
    let found = ScopeMetrics { scope: Arc::clone(&case.scope), metrics: vec![found_by(&other)] };
    let found = Found { scopes: vec![found], lost_points: 0 };
    assert!(case.reader.wait(case.reader.ask(found), Instant::now() + LATER));
    assert_eq!(case.sums(), [2, 1]);
    let requests = case.requests.lock().unwrap();
    let scopes = &requests[0].resource_metrics[0].scope_metrics;
    assert_eq!((scopes.len(), scopes[0].metrics.len()), (1, 2));
    let times = scopes[0].metrics.iter().map(|metric| match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points[0].time_unix_nano,
        _ => panic!("a counter is a sum: {metric:?}"),
    });
    let times: Vec<u64> = times.collect();
    assert_eq!(times[0], 77);
    assert!(times[1] > 77, "measurements have the time at which they were collected");
}

/// A request without its points' times.
fn timeless(request: &Request) -> ExportMetricsServiceRequest {
    let mut request = ExportMetricsServiceRequest::decode(request.body.clone()).unwrap();
    let scopes = request.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics);
    for metric in scopes.flat_map(|scope| &mut scope.metrics) {
        let Some(Data::Sum(sum)) = &mut metric.data else { panic!("a counter is a sum: {metric:?}") };
        sum.data_points.iter_mut().for_each(|point| point.time_unix_nano = 0);
    }
    request
}

#[test]
fn one_request_says_the_same_as_parts_with_room_for_all() {
    let resources = ["", "one", "other"].map(|url| Arc::new(Resource { message: vec![], schema_url: url.to_owned() }));
    let scope = |resource: &Arc<Resource>| {
        Arc::new(Scope { resource: Arc::clone(resource), message: vec![], schema_url: "scope".to_owned() })
    };
    let scopes = [&resources[0], &resources[1], &resources[0], &resources[2]].map(scope);
    // Of the last resource and of the second scope nothing was measured.
    let measured = [(0, true), (1, true), (0, true), (2, false), (1, false), (3, false)];
    // Lengths before and after which a frame has another size, whatever was expected of it.
    for (round, series) in [1, 3, 40, 40, 2, 0, 700, 700].into_iter().enumerate() {
        let collected = |max_points| {
            let streams = measured.map(|(scope, is_measured)| {
                let stream = stream(None);
                stream.set_written_len([0, 50, 5000, 5_000_000][round % 4]);
                (0..series).filter(|_| is_measured).for_each(|key| count_with(&stream, key, 1));
                (Arc::clone(&scopes[scope]), stream)
            });
            let found = stream(None);
            count(&found, 2);
            let found = ScopeMetrics { scope: Arc::clone(&scopes[1]), metrics: vec![found_by(&found)] };
            collect(&streams, Found { scopes: vec![found], lost_points: 0 }, max_points, vec![1; 100]).unwrap()
        };
        let ([whole], [part]) = (&collected(None)[..], &collected(Some(usize::MAX))[..]) else { panic!("one of each") };
        assert_eq!((whole.points, part.points), (3 * series as usize + 1, 3 * series as usize + 1));
        assert_eq!(timeless(whole), timeless(part));
        assert_eq!(timeless(whole).resource_metrics.len(), if series > 0 { 2 } else { 1 });
    }
}

#[test]
fn without_memory_for_a_request_what_was_collected_counts_as_failed_and_the_rest_waits() {
    let case = case(None, |_| async { delivered() });
    let [other, large] = [stream(None), stream(None)];
    case.reader.add((Arc::clone(&case.scope), Arc::clone(&large)));
    let failed = |lost_points| {
        count(&other, 2);
        let found = ScopeMetrics { scope: Arc::clone(&case.scope), metrics: vec![found_by(&other)] };
        let found = Found { scopes: vec![found], lost_points };
        assert!(case.reader.wait(case.reader.ask(found), Instant::now() + LATER));
        case.exporter.counts().failed
    };
    case.count(3);
    // So much was written the last time.
    large.set_written_len(isize::MAX as usize);
    assert_eq!(failed(0), 1);
    assert!(case.sums().is_empty());
    large.set_written_len(0);
    assert_eq!(failed(5), 1 + 5);
    assert_eq!(case.sums(), [2, 3]);
}

#[test]
fn the_memory_of_a_request_is_kept_for_one_of_about_its_length() {
    let request = |len: usize, capacity: usize| {
        let mut body = Vec::with_capacity(capacity);
        body.resize(len, 1);
        (body.as_ptr() as usize, Bytes::from(body))
    };
    for (len, capacity) in [(1000, 1000), (1000, 1500), (1, 1)] {
        let (place, body) = request(len, capacity);
        let room = room_of(body);
        assert_eq!((room.as_ptr() as usize, room.len(), room.capacity()), (place, 0, capacity));
    }
    let (_, much) = request(1000, 3000);
    assert_eq!(room_of(much).capacity(), 0);
    let (_, read) = request(1000, 1000);
    let reader = read.clone();
    assert_eq!(room_of(read).capacity(), 0, "somebody reads it");
    drop(reader);
}

#[test]
fn a_new_series_starts_the_worker_of_an_open_reader_alone() {
    let case = case(Some(Duration::from_millis(5)), |_| async { delivered() });
    assert!(case.reader.wait(case.reader.start_shutdown(true), Instant::now() + LATER));
    case.count(1);
    case.reader.has_something();
    std::thread::sleep(MOMENT);
    assert!(case.sums().is_empty());
}
