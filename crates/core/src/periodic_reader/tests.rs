use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message;

use super::*;
use crate::client::{Cause, ClientConfig, Compression, Outcome, Protocol, Signal};
use crate::export::Exporter;
use crate::metrics::{
    Aggregation, Budget, Item, Reader, ReservoirKind, Scalar, Shape, Stream, Temporality, hash_of, metric,
};
use crate::otlp::{Number, Resource, Scope, ScopeMetrics};

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
    let items = [Item { key: "key", value: Scalar::Int(1) }];
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

#[test]
fn what_somebody_else_found_goes_along_in_its_scope_at_its_own_time() {
    let case = case(None, |_| async { delivered() });
    case.count(1);
    let other = stream(None);
    count(&other, 2);
    let found = ScopeMetrics { scope: Arc::clone(&case.scope), metrics: vec![metric(&other, 77).unwrap()] };
    let found = Found { scopes: vec![found] };
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

#[test]
fn a_new_series_starts_the_worker_of_an_open_reader_alone() {
    let case = case(Some(Duration::from_millis(5)), |_| async { delivered() });
    assert!(case.reader.wait(case.reader.start_shutdown(true), Instant::now() + LATER));
    case.count(1);
    case.reader.has_something();
    std::thread::sleep(MOMENT);
    assert!(case.sums().is_empty());
}
