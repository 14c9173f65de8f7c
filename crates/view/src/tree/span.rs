//! A span as a line.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::forest::Parent;
use crate::attributes::{key_attributes, string_attribute};
use crate::text::{Paint, clip, count, hex};

const MAX_NAME_CHARS: usize = 120;
const MAX_MESSAGE_CHARS: usize = 120;
/// Of a service's name, here and in the header.
pub const MAX_SERVICE_CHARS: usize = 60;

pub fn span_text(span: &Span, service: Option<&str>, parent: Parent, paint: Paint) -> String {
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
