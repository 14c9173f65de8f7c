//! What a trace looks like, whatever its spans say of themselves.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use unicode_width::UnicodeWidthStr;

use super::span::duration;
use super::*;
use crate::filter::Filter;
use crate::model::{ReceivedLog, ReceivedSpan};
use crate::screen::Size;
use crate::text::Paint;

const TRACE_ID: [u8; 16] = [0x5b; 16];
const MS: u64 = 1_000_000;

fn received(service: &str, id: u8, parent: u8, name: &str, start: u64, end: u64) -> ReceivedSpan {
    ReceivedSpan {
        service: service.into(),
        span: Span {
            trace_id: TRACE_ID.to_vec(),
            span_id: vec![id; 8],
            parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
            name: name.to_owned(),
            kind: SpanKind::Internal as i32,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            ..Span::default()
        },
    }
}

fn string(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn rendered(spans: &[ReceivedSpan], logs: &[&ReceivedLog], screen: &Screen) -> String {
    let mut out = Vec::new();
    trace::write(&TRACE_ID, spans, logs, screen, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn plain(spans: &[ReceivedSpan]) -> String {
    rendered(spans, &[], &Screen::default())
}

/// The lines below the header.
fn lines(spans: &[ReceivedSpan]) -> Vec<String> {
    plain(spans).lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_trace_is_a_header_and_a_tree_ordered_by_start_time() {
    let mut root = received("shop", 1, 0, "GET /server_request", 0, 12_300_000);
    root.span.kind = SpanKind::Server as i32;
    root.span.attributes = vec![
        attribute("http.response.status_code", Value::IntValue(200)),
        attribute("http.request.method", string("GET")),
    ];
    let mut render = received("shop", 3, 1, "render", 4 * MS, 5 * MS);
    render.span.status = Some(Status { code: StatusCode::Error as i32, message: "boom".to_owned() });
    let mut select = received("shop", 2, 1, "SELECT users", MS, 3_100_000);
    select.span.kind = SpanKind::Client as i32;
    select.span.attributes = vec![attribute("db.system", string("postgresql"))];
    let row = received("shop", 4, 2, "row", 2 * MS, 2 * MS + 1_500);
    assert_eq!(
        plain(&[render, row, select, root]),
        "trace 5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b  shop  4 spans  12.3 ms\n\
         └─ GET /server_request  SERVER  12.3 ms  http.request.method=GET http.response.status_code=200\n\
         \u{20}  ├─ SELECT users  CLIENT  2.1 ms  db.system=postgresql\n\
         \u{20}  │  └─ row  INTERNAL  1.5 us\n\
         \u{20}  └─ render  INTERNAL  1.0 ms  ERROR: boom\n"
    );
}

#[test]
fn a_span_whose_parent_is_not_there_is_a_root_and_says_so() {
    assert_eq!(
        lines(&[received("a", 1, 9, "child", 0, 10)]),
        ["└─ child  INTERNAL  10 ns  (parent 0909090909090909 elsewhere)"]
    );
}

#[test]
fn the_service_is_shown_where_it_changes() {
    let spans = [
        received("web", 1, 0, "root", 0, 10),
        received("api", 2, 1, "call", 1, 9),
        received("api", 3, 2, "inner", 2, 8),
        received("web", 4, 3, "back", 3, 7),
    ];
    assert!(plain(&spans).contains("  web, api  4 spans  10 ns\n"));
    assert_eq!(
        lines(&spans),
        [
            "└─ root  INTERNAL  10 ns",
            "   └─ call  [api]  INTERNAL  8 ns",
            "      └─ inner  INTERNAL  6 ns",
            "         └─ back  [web]  INTERNAL  4 ns",
        ]
    );
}

#[test]
fn cycles_are_cut_and_every_span_is_printed_once() {
    let spans = [
        received("a", 1, 2, "one", 1, 9),
        received("a", 2, 1, "two", 2, 8),
        received("a", 3, 3, "self", 3, 7),
        received("a", 4, 0, "root", 4, 6),
    ];
    assert_eq!(
        lines(&spans),
        [
            "├─ root  INTERNAL  2 ns",
            "├─ one  INTERNAL  8 ns  (parent 0202020202020202 in a cycle)",
            "│  └─ two  INTERNAL  6 ns",
            "└─ self  INTERNAL  4 ns  (parent 0303030303030303 in a cycle)",
        ]
    );
}

#[test]
fn spans_of_the_same_id_are_all_printed() {
    let spans = [received("a", 1, 0, "x", 1, 2), received("a", 1, 0, "y", 2, 3), received("a", 2, 1, "z", 3, 4)];
    assert_eq!(lines(&spans), ["├─ x  INTERNAL  1 ns", "│  └─ z  INTERNAL  1 ns", "└─ y  INTERNAL  1 ns"]);
}

#[test]
fn a_very_deep_chain_is_printed_in_linear_size() {
    let spans: Vec<_> = (0..20_000u32)
        .map(|i| {
            let mut received = received("a", 0, 0, "deep", i.into(), i.into());
            received.span.span_id = (i + 1).to_be_bytes().to_vec();
            received.span.parent_span_id = if i == 0 { Vec::new() } else { i.to_be_bytes().to_vec() };
            received
        })
        .collect();
    let text = plain(&spans);
    assert_eq!(text.lines().count(), 20_001);
    assert!(text.len() < 20_001 * 400);
}

#[test]
fn nothing_of_a_peer_controls_the_terminal() {
    let evil = "\x1b[2J\r\n\u{202e}";
    let mut span = received(evil, 1, 0, evil, 0, 1);
    span.span.attributes = vec![
        attribute(evil, string(evil)),
        attribute("list", Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(string(evil)) }] })),
        attribute("map", Value::KvlistValue(KeyValueList { values: vec![attribute(evil, string(evil))] })),
    ];
    span.span.status = Some(Status { code: 2, message: evil.to_owned() });
    span.span.events = vec![Event {
        name: "exception".to_owned(),
        attributes: vec![attribute("exception.type", string(evil)), attribute("exception.message", string(evil))],
        ..Event::default()
    }];
    let text = plain(&[span]);
    assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text:?}");
    assert!(!text.contains('\u{202e}'));
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn attributes_are_few_short_and_the_most_telling_first() {
    let mut span = received("a", 1, 0, "x", 0, 1);
    span.span.attributes = vec![
        attribute("app.user", string("mary ann")),
        attribute("thread.id", Value::IntValue(1)),
        attribute("http.request.header.authorization", string("secret")),
        attribute("db.query.text", string(&"x".repeat(500))),
        attribute("error.type", string("Timeout")),
        attribute("app.raw", Value::BytesValue(vec![1, 2, 3])),
        attribute("app.ok", Value::BoolValue(true)),
    ];
    span.span.attributes.extend((0..10).map(|i| attribute(&format!("z{i}"), Value::DoubleValue(0.5))));
    let line = lines(&[span]).remove(0);
    let expected = format!(
        "└─ x  INTERNAL  1 ns  error.type=Timeout db.query.text={}… app.user=\"mary ann\" \
         app.raw=<3 bytes> app.ok=true z0=0.5 z1=0.5 z2=0.5 +7 more",
        "x".repeat(80)
    );
    assert_eq!(line, expected);
}

#[test]
fn exceptions_events_and_links_are_named_and_counted() {
    let exception = Event {
        name: "exception".to_owned(),
        attributes: vec![
            attribute("exception.type", string("ValueError")),
            attribute("exception.message", string("boom")),
        ],
        ..Event::default()
    };
    let mut span = received("a", 1, 0, "x", 0, 1);
    span.span.events = vec![exception, Event::default()];
    span.span.links = vec![Link::default()];
    assert_eq!(lines(&[span]), ["└─ x  INTERNAL  1 ns  exception=ValueError: boom  2 events  1 link"]);
}

#[test]
fn an_exception_that_the_status_names_is_not_repeated() {
    let mut span = received("a", 1, 0, "x", 0, 1);
    span.span.events = vec![Event {
        name: "exception".to_owned(),
        attributes: vec![attribute("exception.type", string("E")), attribute("exception.message", string("m"))],
        ..Event::default()
    }];
    span.span.status = Some(Status { code: StatusCode::Error as i32, message: "E: m".to_owned() });
    assert_eq!(lines(&[span]), ["└─ x  INTERNAL  1 ns  ERROR: E: m  1 event"]);
}

#[test]
fn numbers_that_make_no_sense_are_shown_and_not_fatal() {
    let mut span = received("a", 1, 0, "", 5, 1);
    span.span.kind = 77;
    span.span.status = Some(Status { code: 9, message: String::new() });
    assert_eq!(lines(&[span]), ["└─ (no name)  KIND 77  ends before it starts  STATUS 9"]);
}

#[test]
fn durations_have_the_unit_that_suits_them() {
    let shown = [0, 999, 1_000, 999_949, 999_950, 999_949_999, 999_950_000, 75_250_000_000].map(|n| duration(0, n));
    assert_eq!(shown, ["0 ns", "999 ns", "1.0 us", "999.9 us", "1.0 ms", "999.9 ms", "1.00 s", "75.25 s"]);
}

#[test]
fn names_are_bold_and_errors_are_red() {
    let mut span = received("a", 1, 0, "x", 0, 1);
    span.span.status = Some(Status { code: StatusCode::Error as i32, message: "m".to_owned() });
    let text = rendered(&[span], &[], &Screen { paint: Paint::ANSI, ..Screen::default() });
    assert!(text.ends_with("└─ \x1b[1mx\x1b[0m  INTERNAL  1 ns  \x1b[31mERROR\x1b[0m: m\n"), "{text:?}");
}

fn screen(columns: usize) -> Screen {
    Screen { size: Size::Columns(columns), ..Screen::default() }
}

#[test]
fn on_a_screen_each_span_has_a_bar_where_its_time_is() {
    let mut root = received("shop", 1, 0, "GET /server_request", 0, 8 * MS);
    root.span.kind = SpanKind::Server as i32;
    root.span.attributes = vec![attribute("http.route", string("/server_request"))];
    let select = received("shop", 2, 1, "SELECT", 2 * MS, 4 * MS);
    let mut send = received("mail", 3, 1, "send", 8 * MS, 8 * MS);
    send.span.status = Some(Status { code: StatusCode::Error as i32, message: "refused".to_owned() });
    assert_eq!(
        rendered(&[root, select, send], &[], &screen(80)),
        "trace 5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b  shop, mail  3 spans  8.0 ms\n\
         └─ GET /server_request ████████████████████   8.0 ms  SERVER  http.route=/serve…\n\
         \u{20}  ├─ SELECT                █████             2.0 ms\n\
         \u{20}  └─ send [mail]                         █     0 ns  ERROR: refused\n"
    );
}

#[test]
fn no_line_is_wider_than_the_screen() {
    let wide = "日本語".repeat(50);
    let spans: Vec<_> = (0..100).map(|id| received(&wide, id + 1, id, &wide, id.into(), 1000)).collect();
    let record = LogRecord { body: Some(AnyValue { value: Some(string(&wide)) }), ..LogRecord::default() };
    let logs: Vec<_> = [1, 99, 200]
        .map(|id| ReceivedLog {
            service: wide.as_str().into(),
            record: LogRecord { span_id: vec![id; 8], ..record.clone() },
        })
        .into();
    for columns in [40, 80, 133] {
        let text = rendered(&spans, &logs.iter().collect::<Vec<_>>(), &screen(columns));
        assert_eq!(text.lines().map(UnicodeWidthStr::width).max(), Some(columns));
        assert!(text.lines().filter(|line| line.contains('█')).all(|line| line.contains('日')), "{text}");
    }
}

#[test]
fn log_records_are_below_their_span_and_those_without_one_by_themselves() {
    let spans = [received("a", 1, 0, "root", 0, 9), received("a", 2, 1, "child", 1, 2)];
    let log = |span: u8, time, severity_number, text: &str| ReceivedLog {
        service: "a".into(),
        record: LogRecord {
            trace_id: TRACE_ID.to_vec(),
            span_id: vec![span; 8],
            time_unix_nano: time,
            severity_number,
            body: Some(AnyValue { value: Some(string(text)) }),
            ..LogRecord::default()
        },
    };
    let logs = [log(1, 2, 13, "second"), log(1, 1, 9, "first\nand more"), log(2, 3, 17, "below"), log(7, 0, 9, "lost")];
    assert_eq!(
        rendered(&spans, &logs.iter().collect::<Vec<_>>(), &Screen::default()),
        "trace 5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b  a  2 spans  9 ns  4 log records\n\
         └─ root  INTERNAL  9 ns\n\
         \u{20}  │  INFO  first\n\
         \u{20}  │  WARN  second\n\
         \u{20}  └─ child  INTERNAL  1 ns\n\
         \u{20}        ERROR  below\n\
         logs  a  1 record\n\
         └─ INFO  lost  (span 0707070707070707 of trace 5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b)\n"
    );
}

fn gauge(name: &str, value: i64) -> Export {
    let point = NumberDataPoint { value: Some(number_data_point::Value::AsInt(value)), ..NumberDataPoint::default() };
    let data = Some(metric::Data::Gauge(Gauge { data_points: vec![point] }));
    let metrics = vec![Metric { name: name.to_owned(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    Export::Metrics(ExportMetricsServiceRequest { resource_metrics })
}

fn logged(text: &str) -> Export {
    let record = LogRecord { body: Some(AnyValue { value: Some(string(text)) }), ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    Export::Logs(ExportLogsServiceRequest { resource_logs })
}

#[test]
fn in_a_pipe_metrics_are_lines() {
    let mut terminal = Terminal::new(Screen::default(), Vec::new());
    for value in [1, 5] {
        terminal.take(gauge("queue.size", value)).unwrap();
    }
    let text = String::from_utf8(terminal.out).unwrap();
    assert_eq!(text, "metric  unknown_service  queue.size  1\nmetric  unknown_service  queue.size  5\n");
}

#[test]
fn on_a_screen_metrics_are_a_table_that_stays_below_the_rest() {
    let mut terminal = Terminal::new(Screen { is_ours: true, ..screen(100) }, Vec::new());
    for value in [1, 5, 3] {
        terminal.take(gauge("queue.size", value)).unwrap();
    }
    terminal.take(logged("hello")).unwrap();
    let text = String::from_utf8(terminal.out).unwrap();
    let table = |value, trend| format!("metrics  1 series\nunknown_service  queue.size  {value}  {trend}\n");
    let up = "\x1b[2A\x1b[J";
    let expected = [
        &*table(1, "▁"),
        up,
        &table(5, "▁█"),
        up,
        &table(3, "▁█▅"),
        up,
        "logs  unknown_service  1 record\n└─ LOG  hello\n",
        &table(3, "▁█▅"),
    ];
    assert_eq!(text, expected.concat());
}

#[test]
fn a_table_of_very_many_series_has_as_many_rows_as_there_is_room() {
    let mut terminal = Terminal::new(Screen { is_ours: true, ..screen(100) }, Vec::new());
    for number in 0..50 {
        terminal.take(gauge(&format!("m{number}"), 1)).unwrap();
    }
    let table = metrics::table(&terminal.metrics, &terminal.screen);
    assert_eq!(table.len(), 1 + 8 + 1);
    assert_eq!(table.last().map(String::as_str), Some("… 42 more\n"));
}

#[test]
fn what_the_filter_does_not_want_is_not_printed() {
    let screen = Screen { filter: Filter { errors: true, ..Filter::default() }, ..Screen::default() };
    let mut terminal = Terminal::new(screen, Vec::new());
    let span = |trace: u8, code| Span {
        trace_id: vec![trace; 16],
        name: format!("code {code}"),
        status: Some(Status { code, message: String::new() }),
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span(1, 1), span(2, 2)], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    terminal.take(Export::Traces(ExportTraceServiceRequest { resource_spans })).unwrap();
    terminal.take(logged("no error")).unwrap();
    terminal.take(gauge("m", 1)).unwrap();
    terminal.print_rest().unwrap();
    let text = String::from_utf8(terminal.out).unwrap();
    assert!(text.contains("code 2"), "{text}");
    assert_eq!(text.lines().count(), 2);
}
