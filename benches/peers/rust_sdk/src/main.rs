//! Makes HTTP spans by opentelemetry_sdk, as benches/peers/program.py does by its peers, and prints the same JSON.
//!
//!     rust-sdk ENDPOINT PORTIONS

use std::time::{Duration, Instant};

use opentelemetry::trace::{Span, SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::SdkTracerProvider;

const PORTION: usize = 512;
const PAUSE: Duration = Duration::from_millis(200);
const WARM_UP: usize = 4;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let endpoint = arguments.next().expect("an endpoint");
    let portions: usize = arguments.next().and_then(|count| count.parse().ok()).expect("a number of portions");
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .build()
        .expect("an exporter");
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    let tracer = provider.tracer("benches");
    let make = || {
        for _ in 0..PORTION {
            http(&tracer);
        }
    };
    for _ in 0..WARM_UP {
        make();
        std::thread::sleep(PAUSE);
    }
    let mut elapsed = Vec::new();
    let cpu = process_time();
    for _ in 0..portions {
        let begin = Instant::now();
        make();
        elapsed.push(begin.elapsed().as_nanos() as f64 / PORTION as f64);
        std::thread::sleep(PAUSE);
    }
    provider.shutdown().expect("shut down");
    let cpu = process_time() - cpu;
    let spans = PORTION * (WARM_UP + portions);
    println!(r#"{{"app": {elapsed:?}, "cpu": {}, "spans": {spans}}}"#, cpu.as_nanos());
}

/// The text of the request comes with it, as in Python: what is not known at compile time is owned.
fn http(tracer: &impl Tracer<Span = impl Span + Send + Sync + 'static>) {
    let span = tracer
        .span_builder("GET /orders/{id}")
        .with_kind(SpanKind::Server)
        .with_attributes([
            KeyValue::new("http.method", "GET"),
            KeyValue::new("http.scheme", "http"),
            KeyValue::new("http.target", String::from("/orders/42")),
            KeyValue::new("http.host", String::from("shop:8080")),
            KeyValue::new("net.host.port", 8080),
            KeyValue::new("net.peer.ip", String::from("10.0.0.7")),
            KeyValue::new("http.user_agent", String::from("curl/8.5")),
            KeyValue::new("http.flavor", "1.1"),
        ])
        .start(tracer);
    let context = Context::current_with_span(span);
    let _guard = context.clone().attach();
    context.span().set_attribute(KeyValue::new("http.route", "/orders/{id}"));
    context.span().set_attribute(KeyValue::new("http.status_code", 200));
}

fn process_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a living timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
