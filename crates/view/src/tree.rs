//! A trace as a tree of lines.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::rc::Rc;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use crate::attributes::{key_attributes, string_attribute};
use crate::pending::ReceivedSpan;
use crate::text::{Paint, clip, count, hex};

const MAX_NAME_CHARS: usize = 120;
const MAX_SERVICE_CHARS: usize = 60;
const MAX_MESSAGE_CHARS: usize = 120;
const MAX_SERVICES: usize = 4;
/// Deeper spans are not indented further: the lines of a chain of thousands would be quadratic in size.
const MAX_INDENT: usize = 64;

/// Writes the trace with a header line, each line ended. Line by line: all of them may be far longer than the spans.
pub fn write(trace_id: &[u8], spans: &[ReceivedSpan], paint: Paint, out: &mut impl Write) -> io::Result<()> {
    let forest = Forest::new(spans);
    let mut out = BufWriter::new(out);
    let mut services: Vec<&str> = Vec::new();
    for line in Lines::new(&forest, spans) {
        let service = &*spans[line.node.index].service;
        if !services.contains(&service) {
            services.push(service);
        }
        if services.len() > MAX_SERVICES {
            break;
        }
    }
    out.write_all(header(trace_id, spans, &services, paint).as_bytes())?;
    for line in Lines::new(&forest, spans) {
        let ReceivedSpan { service, span } = &spans[line.node.index];
        let branch = if line.last { "└─ " } else { "├─ " };
        let own_service = (**service != *line.parent_service).then_some(&**service);
        writeln!(out, "{}{branch}{}", line.prefix, span_text(span, own_service, line.node.parent, paint))?;
    }
    out.flush()
}

fn header(trace_id: &[u8], spans: &[ReceivedSpan], services: &[&str], paint: Paint) -> String {
    let mut names: Vec<String> = services.iter().take(MAX_SERVICES).map(|name| clip(name, MAX_SERVICE_CHARS)).collect();
    if services.len() > MAX_SERVICES {
        names.push("…".to_owned());
    }
    let id = if trace_id.is_empty() { "(no trace id)".to_owned() } else { hex(trace_id) };
    let start = spans.iter().map(|received| received.span.start_time_unix_nano).min().unwrap_or(0);
    let end = spans.iter().map(|received| received.span.end_time_unix_nano).max().unwrap_or(0);
    let services = paint.bold(&names.join(", "));
    format!("trace {id}  {services}  {}  {}\n", count(spans.len(), "span"), duration(start, end))
}

/// What a line is made of.
struct Line<'a> {
    node: Node,
    prefix: Rc<str>,
    last: bool,
    depth: usize,
    parent_service: &'a str,
}

/// The lines of a trace from top to bottom. With a stack and not by recursion: the depth of the tree is the peer's
/// choice.
struct Lines<'a> {
    forest: &'a Forest,
    spans: &'a [ReceivedSpan],
    stack: Vec<Line<'a>>,
}

impl<'a> Lines<'a> {
    fn new(forest: &'a Forest, spans: &'a [ReceivedSpan]) -> Self {
        let first_service = forest.roots.first().map_or("", |root| &spans[root.index].service);
        let mut stack = Vec::new();
        push_siblings(&mut stack, forest.roots.iter().copied(), &"".into(), 0, first_service);
        Self { forest, spans, stack }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let line = self.stack.pop()?;
        let prefix = if line.depth < MAX_INDENT {
            format!("{}{}", line.prefix, if line.last { "   " } else { "│  " }).into()
        } else {
            line.prefix.clone()
        };
        let children = self.forest.children[line.node.index].iter();
        let children = children.map(|&index| Node { index, parent: Parent::Above });
        push_siblings(&mut self.stack, children, &prefix, line.depth + 1, &self.spans[line.node.index].service);
        Some(line)
    }
}

/// Puts siblings on the stack so that the first is popped first.
fn push_siblings<'a>(
    stack: &mut Vec<Line<'a>>,
    nodes: impl DoubleEndedIterator<Item = Node>,
    prefix: &Rc<str>,
    depth: usize,
    parent_service: &'a str,
) {
    stack.extend(nodes.rev().enumerate().map(|(i, node)| Line {
        node,
        prefix: prefix.clone(),
        last: i == 0,
        depth,
        parent_service,
    }));
}

#[derive(Clone, Copy)]
struct Node {
    index: usize,
    parent: Parent,
}

/// Where a span's parent is, as seen from the line it is printed on.
#[derive(Clone, Copy, PartialEq)]
enum Parent {
    /// It has none, or it is the line it hangs from.
    Above,
    /// Its id is not in the trace as received.
    Elsewhere,
    /// It is below: the spans name each other as parents.
    Below,
}

/// The spans as trees, in which every span occurs exactly once whatever ids the peer has given them.
struct Forest {
    roots: Vec<Node>,
    /// By the parent's index; each ordered by start time.
    children: Vec<Vec<usize>>,
}

impl Forest {
    fn new(spans: &[ReceivedSpan]) -> Self {
        // Of spans with the same id the first has the children.
        let mut by_id: HashMap<&[u8], usize> = HashMap::new();
        for (index, received) in spans.iter().enumerate() {
            by_id.entry(&received.span.span_id).or_insert(index);
        }
        let mut by_start: Vec<usize> = (0..spans.len()).collect();
        by_start.sort_by_key(|&index| spans[index].span.start_time_unix_nano);

        let mut claimed: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
        let mut roots = Vec::new();
        for &index in &by_start {
            let parent_id = spans[index].span.parent_span_id.as_slice();
            if parent_id.is_empty() {
                roots.push(Node { index, parent: Parent::Above });
            } else if let Some(&parent) = by_id.get(parent_id) {
                claimed[parent].push(index);
            } else {
                roots.push(Node { index, parent: Parent::Elsewhere });
            }
        }

        let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
        let mut reached = vec![false; spans.len()];
        let mut reach = |start: usize| {
            let is_new = !std::mem::replace(&mut reached[start], true);
            let mut todo = if is_new { vec![start] } else { Vec::new() };
            while let Some(index) = todo.pop() {
                for &child in &claimed[index] {
                    if !std::mem::replace(&mut reached[child], true) {
                        children[index].push(child);
                        todo.push(child);
                    }
                }
            }
            is_new
        };
        for root in &roots {
            reach(root.index);
        }
        // What no root leads to is on or below a cycle, which is cut at its earliest span.
        for index in by_start {
            if reach(index) {
                roots.push(Node { index, parent: Parent::Below });
            }
        }
        Self { roots, children }
    }
}

fn span_text(span: &Span, service: Option<&str>, parent: Parent, paint: Paint) -> String {
    let name = if span.name.is_empty() { "(no name)".to_owned() } else { clip(&span.name, MAX_NAME_CHARS) };
    let mut columns = vec![paint.bold(&name)];
    columns.extend(service.map(|service| format!("[{}]", clip(service, MAX_SERVICE_CHARS))));
    columns.push(kind(span.kind));
    columns.push(duration(span.start_time_unix_nano, span.end_time_unix_nano));
    columns.extend(span.status.as_ref().and_then(|status| status_text(status, paint)));

    let (mut attributes, hidden) = key_attributes(&span.attributes);
    if hidden > 0 {
        attributes.push(format!("+{hidden} more"));
    }
    if !attributes.is_empty() {
        columns.push(attributes.join(" "));
    }
    columns.extend(exception_text(span));
    if !span.events.is_empty() {
        columns.push(count(span.events.len(), "event"));
    }
    if !span.links.is_empty() {
        columns.push(count(span.links.len(), "link"));
    }
    match parent {
        Parent::Above => {}
        Parent::Elsewhere => columns.push(format!("(parent {} elsewhere)", hex(&span.parent_span_id))),
        Parent::Below => columns.push(format!("(parent {} in a cycle)", hex(&span.parent_span_id))),
    }
    columns.join("  ")
}

fn kind(kind: i32) -> String {
    match SpanKind::try_from(kind) {
        Ok(kind) => kind.as_str_name().trim_start_matches("SPAN_KIND_").to_owned(),
        Err(_) => format!("KIND {kind}"),
    }
}

fn status_text(status: &Status, paint: Paint) -> Option<String> {
    match StatusCode::try_from(status.code) {
        Ok(StatusCode::Unset) => None,
        Ok(StatusCode::Ok) => Some("OK".to_owned()),
        Ok(StatusCode::Error) if status.message.is_empty() => Some(paint.red("ERROR")),
        Ok(StatusCode::Error) => Some(format!("{}: {}", paint.red("ERROR"), clip(&status.message, MAX_MESSAGE_CHARS))),
        Err(_) => Some(format!("STATUS {}", status.code)),
    }
}

/// The last exception, which is the one that ended the span; nothing if the status already says it.
fn exception_text(span: &Span) -> Option<String> {
    let event = span.events.iter().rev().find(|event| event.name == "exception")?;
    let attribute = |key| string_attribute(&event.attributes, key).filter(|text| !text.is_empty());
    let text = match (attribute("exception.type"), attribute("exception.message")) {
        (Some(kind), Some(message)) => format!("{kind}: {message}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => return None,
    };
    let said = span.status.as_ref().is_some_and(|status| status.message == text);
    (!said).then(|| format!("exception={}", clip(&text, MAX_MESSAGE_CHARS)))
}

fn duration(start_nanos: u64, end_nanos: u64) -> String {
    let Some(nanos) = end_nanos.checked_sub(start_nanos) else {
        return "ends before it starts".to_owned();
    };
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        // The bounds are where the rounded number would need another digit, so that no "1000.0 us" is printed.
        1_000..999_950 => format!("{:.1} us", nanos as f64 / 1e3),
        999_950..999_950_000 => format!("{:.1} ms", nanos as f64 / 1e6),
        _ => format!("{:.2} s", nanos as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
    use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};

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
}
