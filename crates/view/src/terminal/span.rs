//! What a line says of a span.

use anstyle::Style;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use crate::attributes::{key_attributes, string_attribute};
use crate::model::Parent;
use crate::text::{ERROR, PLAIN, clip, count, hex};

const MAX_NAME_CHARS: usize = 120;
const MAX_MESSAGE_CHARS: usize = 120;
/// Of a service's name, here and in the header.
pub const MAX_SERVICE_CHARS: usize = 60;

/// A piece of a line.
pub type Piece = (Style, String);

/// What a line says of a span.
pub struct SpanText {
    pub name: String,
    /// `[service]`, where it is another one than the parent's.
    pub service: String,
    pub kind: String,
    pub duration: String,
    pub rest: Vec<Piece>,
    pub is_error: bool,
}

impl SpanText {
    pub fn new(span: &Span, service: Option<&str>, parent: Parent) -> Self {
        let mut rest = span.status.as_ref().map_or_else(Vec::new, status_pieces);
        let (mut attributes, hidden) = key_attributes(&span.attributes);
        if hidden > 0 {
            attributes.push(format!("+{hidden} more"));
        }
        let mut add = |text: String| {
            if !text.is_empty() {
                rest.push((PLAIN, format!("  {text}")));
            }
        };
        add(attributes.join(" "));
        add(exception_text(span).unwrap_or_default());
        add(count_text(span.events.len(), "event"));
        add(count_text(span.links.len(), "link"));
        add(match parent {
            Parent::Above => String::new(),
            Parent::Elsewhere => format!("(parent {} elsewhere)", hex(&span.parent_span_id)),
            Parent::Below => format!("(parent {} in a cycle)", hex(&span.parent_span_id)),
        });
        Self {
            name: if span.name.is_empty() { "(no name)".to_owned() } else { clip(&span.name, MAX_NAME_CHARS) },
            service: service.map(|service| format!("[{}]", clip(service, MAX_SERVICE_CHARS))).unwrap_or_default(),
            kind: kind(span.kind),
            duration: duration(span.start_time_unix_nano, span.end_time_unix_nano),
            rest,
            is_error: span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32),
        }
    }
}

fn count_text(n: usize, noun: &str) -> String {
    if n == 0 { String::new() } else { count(n, noun) }
}

fn kind(kind: i32) -> String {
    match SpanKind::try_from(kind) {
        Ok(kind) => kind.as_str_name().trim_start_matches("SPAN_KIND_").to_owned(),
        Err(_) => format!("KIND {kind}"),
    }
}

fn status_pieces(status: &Status) -> Vec<Piece> {
    let plain = |text: String| (PLAIN, text);
    match StatusCode::try_from(status.code) {
        Ok(StatusCode::Unset) => Vec::new(),
        Ok(StatusCode::Ok) => vec![plain("  OK".to_owned())],
        Ok(StatusCode::Error) => {
            let mut pieces = vec![plain("  ".to_owned()), (ERROR, "ERROR".to_owned())];
            if !status.message.is_empty() {
                pieces.push(plain(format!(": {}", clip(&status.message, MAX_MESSAGE_CHARS))));
            }
            pieces
        }
        Err(_) => vec![plain(format!("  STATUS {}", status.code))],
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

pub fn duration(start_nanos: u64, end_nanos: u64) -> String {
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
