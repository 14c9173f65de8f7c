//! What a trace looks like, whatever its spans say of themselves.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::*;

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

fn rendered(spans: &[ReceivedSpan], paint: Paint) -> String {
    let mut out = Vec::new();
    write(&TRACE_ID, spans, paint, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn plain(spans: &[ReceivedSpan]) -> String {
    rendered(spans, Paint::PLAIN)
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
fn colours_are_bold_names_and_red_errors() {
    let mut span = received("a", 1, 0, "x", 0, 1);
    span.span.status = Some(Status { code: StatusCode::Error as i32, message: "m".to_owned() });
    let text = rendered(&[span], Paint::ANSI);
    assert!(text.ends_with("└─ \x1b[1mx\x1b[0m  INTERNAL  1 ns  \x1b[31mERROR\x1b[0m: m\n"), "{text:?}");
}
