//! Which attributes of a span are worth a place on its line, and how a value is written.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::text::{Clipped, clip};

/// `SEVERITY_NUMBER_ERROR`: a record of this severity or a higher one is an error.
pub const SEVERITY_ERROR: i32 = 17;

const MAX_ATTRIBUTES: usize = 8;
const MAX_KEY_CHARS: usize = 60;
const MAX_VALUE_CHARS: usize = 80;

/// The semantic conventions' attributes that say what a span did, most telling first, old names beside new ones. An
/// entry that ends in a dot stands for all keys below it.
const TELLING: &[&str] = &[
    "error.type",
    "http.request.method",
    "http.method",
    "http.route",
    "url.path",
    "http.target",
    "url.full",
    "http.url",
    "http.response.status_code",
    "http.status_code",
    "db.system.name",
    "db.system",
    "db.namespace",
    "db.name",
    "db.operation.name",
    "db.operation",
    "db.collection.name",
    "db.query.text",
    "db.statement",
    "rpc.system",
    "rpc.service",
    "rpc.method",
    "rpc.",
    "messaging.system",
    "messaging.destination.name",
    "messaging.",
    "graphql.",
    "gen_ai.",
    "faas.",
    "db.",
    "http.",
    "url.",
    "code.",
];

/// Keys that many spans carry and few readers want here; captured headers may hold credentials besides.
const TIRING: &[&str] = &[
    "http.request.header.",
    "http.response.header.",
    "rpc.grpc.request.metadata.",
    "rpc.grpc.response.metadata.",
    "client.",
    "host.",
    "net.",
    "network.",
    "os.",
    "otel.",
    "process.",
    "server.",
    "telemetry.",
    "thread.",
    "user_agent.",
    "http.user_agent",
    "http.flavor",
    "http.scheme",
    "http.host",
    "http.server_name",
    "url.scheme",
];

/// `key=value` for the attributes to show, the most telling first, then the application's own; and how many of the
/// same rank had no room.
pub fn key_attributes(attributes: &[KeyValue]) -> (Vec<String>, usize) {
    let mut ranked: Vec<(usize, &KeyValue)> =
        attributes.iter().filter_map(|attribute| Some((rank(&attribute.key)?, attribute))).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let hidden = ranked.len().saturating_sub(MAX_ATTRIBUTES);
    let shown = ranked.into_iter().take(MAX_ATTRIBUTES).map(|(_, attribute)| {
        format!("{}={}", clip(&attribute.key, MAX_KEY_CHARS), value_text(attribute.value.as_ref(), MAX_VALUE_CHARS))
    });
    (shown.collect(), hidden)
}

fn rank(key: &str) -> Option<usize> {
    let matches = |entry: &&str| {
        if entry.ends_with('.') { key.starts_with(*entry) } else { key == *entry }
    };
    if TIRING.iter().any(matches) {
        return None;
    }
    Some(TELLING.iter().position(matches).unwrap_or(TELLING.len()))
}

/// The value of a string attribute; `None` if it is absent or not a string.
pub fn string_attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.key == key).and_then(|attribute| {
        match attribute.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(text.as_str()),
            _ => None,
        }
    })
}

/// The name of the service that a resource describes.
pub fn service_name(resource: Option<&Resource>) -> &str {
    resource
        .and_then(|resource| string_attribute(&resource.attributes, "service.name"))
        .filter(|name| !name.is_empty())
        .unwrap_or("unknown_service")
}

/// A value on one line; a string that is empty or has a space in it is quoted, so that it is clear where it ends.
pub fn value_text(value: Option<&AnyValue>, max_chars: usize) -> String {
    let mut out = Clipped::new(max_chars);
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) if text.is_empty() || text.contains(char::is_whitespace) => {
            // The quotes are ours and not counted: a cut string still has its closing one.
            return format!("\"{}\"", clip(text, max_chars));
        }
        _ => push_value(&mut out, value),
    }
    out.finish()
}

/// Recursion is bounded by the decoders, which refuse messages nested deeper than about a hundred levels.
pub fn push_value(out: &mut Clipped, value: Option<&AnyValue>) {
    if out.is_cut() {
        return;
    }
    match value.and_then(|value| value.value.as_ref()) {
        None => out.push("(empty)"),
        Some(Value::StringValue(text)) => out.push(text),
        Some(Value::BoolValue(value)) => out.push(if *value { "true" } else { "false" }),
        Some(Value::IntValue(value)) => out.push(&value.to_string()),
        Some(Value::DoubleValue(value)) => out.push(&value.to_string()),
        Some(Value::BytesValue(bytes)) => out.push(&format!("<{} bytes>", bytes.len())),
        Some(Value::StringValueStrindex(index)) => out.push(&format!("<string {index}>")),
        Some(Value::ArrayValue(array)) => {
            out.push("[");
            for (i, value) in array.values.iter().enumerate() {
                if out.is_cut() {
                    return;
                }
                out.push(if i == 0 { "" } else { ", " });
                push_value(out, Some(value));
            }
            out.push("]");
        }
        Some(Value::KvlistValue(list)) => {
            out.push("{");
            for (i, entry) in list.values.iter().enumerate() {
                if out.is_cut() {
                    return;
                }
                out.push(if i == 0 { "" } else { ", " });
                out.push(&entry.key);
                out.push("=");
                push_value(out, entry.value.as_ref());
            }
            out.push("}");
        }
    }
}
