//! The receiver as its peers see it: real gRPC and HTTP requests to a receiver on ports of the system's choice.

mod ending;
mod hosts;
mod json;
mod memory;
mod refusals;
mod requests;
mod slow;

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

/// What the receiver has printed so far.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Printed {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

struct Running {
    grpc: SocketAddr,
    http: SocketAddr,
    printed: Printed,
    told: Printed,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), ReceiverError>>,
}

impl Running {
    fn start(format: Format, limits: Limits) -> Self {
        let any = || Some("127.0.0.1:0".to_owned());
        Self::with(ReceiverConfig { grpc: any(), http: any(), format, limits, ..ReceiverConfig::default() })
    }

    fn with(config: ReceiverConfig) -> Self {
        let receiver = Receiver::bind(config).unwrap();
        let (printed, told) = (Printed::default(), Printed::default());
        let (stop, stopped) = oneshot::channel();
        Self {
            grpc: receiver.addr(Protocol::Grpc).unwrap(),
            http: receiver.addr(Protocol::Http).unwrap(),
            printed: printed.clone(),
            told: told.clone(),
            stop,
            task: tokio::spawn(
                receiver.serve(printed, told, async { stopped.await.map_or(End::AtOnce, |()| End::Gracefully) }),
            ),
        }
    }

    fn json() -> Self {
        Self::start(Format::Json, Limits::default())
    }

    fn tree() -> Self {
        Self::start(Format::Terminal(Screen::default()), Limits::default())
    }

    fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    fn post(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
        client.post(format!("http://{}{path}", self.http)).header("content-type", content_type).body(body)
    }

    /// The lines about refused requests, once they say all that is looked for.
    async fn told(&self, texts: &[&str]) -> String {
        let told = async {
            while !texts.iter().all(|text| self.told.text().contains(text)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(DEADLINE, told).await.unwrap_or_else(|_| panic!("{texts:?} not in {:?}", self.told.text()));
        self.told.text()
    }

    /// Everything printed, including what was pending at the end.
    async fn stop(self) -> String {
        self.stop.send(()).unwrap();
        timeout(DEADLINE, self.task).await.unwrap().unwrap().unwrap();
        self.printed.text()
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn resource() -> Option<Resource> {
    let attributes = vec![attribute("service.name", Value::StringValue("shop".to_owned()))];
    Some(Resource { attributes, ..Resource::default() })
}

fn traces(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }],
    }
}

fn span(id: u8, parent: u8, name: &str) -> Span {
    Span {
        trace_id: vec![0xab; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: name.to_owned(),
        kind: 1,
        start_time_unix_nano: id.into(),
        end_time_unix_nano: 10,
        ..Span::default()
    }
}

fn metrics() -> ExportMetricsServiceRequest {
    let point = NumberDataPoint { value: Some(number_data_point::Value::AsInt(7)), ..NumberDataPoint::default() };
    let gauge = Gauge { data_points: vec![point] };
    let metric = |name: &str| Metric {
        name: name.to_owned(),
        data: Some(metric::Data::Gauge(gauge.clone())),
        ..Metric::default()
    };
    let scope_metrics =
        vec![ScopeMetrics { metrics: vec![metric("queue.size"), metric("up")], ..ScopeMetrics::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource: resource(), scope_metrics, ..ResourceMetrics::default() }],
    }
}

fn logs() -> ExportLogsServiceRequest {
    let record = |severity_number, body: &str| LogRecord {
        severity_number,
        body: Some(AnyValue { value: Some(Value::StringValue(body.to_owned())) }),
        ..LogRecord::default()
    };
    let log_records = vec![record(9, "ready\nsecond line"), record(17, "bad \x1b[2J")];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }],
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzEncoder::new(bytes, Compression::fast()).read_to_end(&mut out).unwrap();
    out
}

const PROTOBUF: &str = "application/x-protobuf";
