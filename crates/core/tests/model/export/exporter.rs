//! `src/otlp/exporter.rs` for the models: keeps what it is given, and takes any time for it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message;
use shuttle::future::yield_now;
use shuttle::rand::{Rng, thread_rng};
use tokio::sync::watch;

use crate::export::counters::{Counters, InFlight, Settled};
use crate::export::split;
use crate::otlp::span_name;
use crate::process::report::Source;

pub struct Limits {
    #[allow(dead_code)]
    pub timeout: Duration,
    #[allow(dead_code)]
    pub no_retry: watch::Receiver<bool>,
    pub broken_off: watch::Receiver<bool>,
}

#[derive(Clone, Copy, Default)]
pub struct Exported {
    pub refused_bytes: Option<usize>,
}

/// Locks and numbers here are the standard library's, so that they add nothing to be explored. No step of another
/// thread can come while one is held.
pub struct Exporter {
    source: Source,
    hangs: bool,
    max_at_a_time: usize,
    at_a_time: AtomicUsize,
    delivered: Mutex<BTreeSet<String>>,
    /// Of what was counted, in metrics.
    sum: AtomicI64,
}

impl Exporter {
    pub fn new(max_at_a_time: usize, hangs: bool) -> Self {
        let (source, at_a_time, delivered) = (Source::unique(), AtomicUsize::new(0), Mutex::default());
        Self { source, hangs, max_at_a_time, at_a_time, delivered, sum: AtomicI64::new(0) }
    }

    pub fn source(&self) -> Source {
        self.source
    }

    pub fn noun(&self) -> &'static str {
        "spans"
    }

    pub fn processor(&self) -> &'static str {
        "BatchSpanProcessor"
    }

    /// Names of the spans that were delivered so far.
    pub fn delivered(&self) -> BTreeSet<String> {
        self.delivered.lock().unwrap().clone()
    }

    pub fn sum(&self) -> i64 {
        self.sum.load(Ordering::SeqCst)
    }

    /// Nothing is too large here.
    pub fn drop_too_large(&self, items: u64, bytes: usize, _max: usize) {
        unreachable!("{items} items of {bytes} bytes");
    }

    fn deliver(&self, names: Vec<String>) {
        let mut delivered = self.delivered.lock().unwrap();
        names.into_iter().for_each(|name| assert!(delivered.insert(name), "delivered twice"));
    }

    /// Memory is never short here.
    pub fn fail_unsent(&self, spans: u64, reason: &str, _counters: &Counters) {
        unreachable!("{spans} spans: {reason}");
    }

    pub fn fail(&self, points: u64, reason: &str) {
        unreachable!("{points} points: {reason}");
    }

    pub async fn export_within(&self, request: Bytes, spans: u64, limits: &Limits, counters: &Counters) -> Exported {
        let own = Counters::default();
        let mut in_flight = InFlight::new([&own, counters], spans);
        assert!(self.at_a_time.fetch_add(1, Ordering::SeqCst) < self.max_at_a_time, "too many exports at a time");
        let (names, sum) = match ExportMetricsServiceRequest::decode(request.clone()) {
            Ok(metrics) if is_of_metrics(&metrics) => (Vec::new(), sum_of(&metrics)),
            _ => (split::items(&request).map(|item| span_name(item).into_owned()).collect(), 0),
        };
        assert!(names.is_empty() || names.len() as u64 == spans);
        if self.hangs {
            let _ = limits.broken_off.clone().wait_for(|broken_off| *broken_off).await;
        } else {
            for _ in 0..thread_rng().gen_range(0..3) {
                yield_now().await;
            }
            self.deliver(names);
            self.sum.fetch_add(sum, Ordering::SeqCst);
            in_flight.settle(spans, Settled::Delivered { rejected: 0 });
        }
        self.at_a_time.fetch_sub(1, Ordering::SeqCst);
        Exported::default()
    }
}

fn metrics_of(request: &ExportMetricsServiceRequest) -> impl Iterator<Item = &Metric> {
    request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics)
}

/// A span decodes as a metric, but none that has data.
fn is_of_metrics(request: &ExportMetricsServiceRequest) -> bool {
    metrics_of(request).all(|metric| matches!(metric.data, Some(Data::Sum(_))))
}

fn sum_of(request: &ExportMetricsServiceRequest) -> i64 {
    let points = metrics_of(request).flat_map(|metric| match &metric.data {
        Some(Data::Sum(sum)) => &sum.data_points[..],
        _ => &[],
    });
    points.map(|point| if let Some(Value::AsInt(value)) = point.value { value } else { 0 }).sum()
}
