//! The answer to an export request. In protobuf its field numbers are the same for all signals.

use ::http::HeaderValue;
use bytes::Bytes;
use prost::Message;
use serde::Deserialize;

/// A longer answer is not read to its end, so that memory is bounded.
pub(super) const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Protobuf,
    Json,
}

impl Format {
    /// That of an HTTP answer, if its content type says so.
    pub(super) fn of(content_type: Option<&HeaderValue>) -> Option<Format> {
        let content_type = content_type?.to_str().ok()?;
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match () {
            () if essence.eq_ignore_ascii_case("application/x-protobuf") => Some(Format::Protobuf),
            () if essence.eq_ignore_ascii_case("application/json") => Some(Format::Json),
            () => None,
        }
    }
}

/// A request the server took, and what it had to say about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    pub rejected: u64,
    pub message: String,
}

#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    /// A text; what is not UTF-8 in it does not make the rest unreadable.
    #[prost(bytes = "vec", tag = "2")]
    error_message: Vec<u8>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonExportResponse {
    partial_success: Option<JsonPartialSuccess>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonPartialSuccess {
    rejected_spans: Option<JsonInteger>,
    rejected_data_points: Option<JsonInteger>,
    rejected_log_records: Option<JsonInteger>,
    error_message: Option<String>,
}

/// Protobuf's mapping writes 64-bit integers as strings and takes both.
#[derive(Deserialize)]
#[serde(untagged)]
enum JsonInteger {
    Number(i64),
    /// Some writers have only floating-point numbers.
    Double(f64),
    Text(String),
}

impl JsonInteger {
    /// Negative and nonsensical ones count as none.
    fn get(&self) -> u64 {
        match self {
            JsonInteger::Number(number) => u64::try_from(*number).unwrap_or(0),
            JsonInteger::Double(number) => *number as u64,
            JsonInteger::Text(text) => text.parse().unwrap_or(0),
        }
    }
}

impl Accepted {
    /// An answer that does not decode counts as full success: the status has already said that the data were accepted.
    pub fn decode(format: Format, body: Bytes) -> Accepted {
        match format {
            Format::Protobuf => Self::from_protobuf(body),
            Format::Json => Self::from_json(&body),
        }
    }

    fn from_protobuf(body: Bytes) -> Accepted {
        let response = ExportResponse::decode(body).unwrap_or_default();
        let partial_success = response.partial_success.unwrap_or_default();
        Accepted {
            rejected: u64::try_from(partial_success.rejected).unwrap_or(0),
            message: String::from_utf8_lossy(&partial_success.error_message).into_owned(),
        }
    }

    fn from_json(body: &[u8]) -> Accepted {
        let response: JsonExportResponse = serde_json::from_str(&String::from_utf8_lossy(body)).unwrap_or_default();
        let partial_success = response.partial_success.unwrap_or_default();
        let JsonPartialSuccess { rejected_spans, rejected_data_points, rejected_log_records, error_message } =
            partial_success;
        let rejected = rejected_spans.or(rejected_data_points).or(rejected_log_records);
        Accepted { rejected: rejected.map_or(0, |rejected| rejected.get()), message: error_message.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_how_many_were_rejected() {
        for (body, rejected, message) in [
            (r#"{"partialSuccess":{"rejectedSpans":"7","errorMessage":"old"}}"#, 7, "old"),
            (r#"{"partialSuccess":{"rejectedSpans":7}}"#, 7, ""),
            (r#"{"partialSuccess":{"rejectedDataPoints":"8"}}"#, 8, ""),
            (r#"{"partialSuccess":{"rejectedLogRecords":9.0,"new":[{}]}}"#, 9, ""),
            (r#"{"partialSuccess":{"rejectedSpans":null,"errorMessage":"careful"}}"#, 0, "careful"),
            (r#"{"partialSuccess":{"rejectedSpans":"-1"}}"#, 0, ""),
            (r#"{"partialSuccess":{"rejectedSpans":-1}}"#, 0, ""),
            (r#"{"partialSuccess":null}"#, 0, ""),
            (r#"{"partialSuccess":{"rejectedSpans":{}}}"#, 0, ""),
            ("{}", 0, ""),
            ("[", 0, ""),
            ("", 0, ""),
        ] {
            let accepted = Accepted { rejected, message: message.to_owned() };
            assert_eq!(Accepted::decode(Format::Json, body.into()), accepted, "{body}");
        }
    }

    #[test]
    fn a_message_that_is_not_utf8_does_not_hide_the_number() {
        let accepted = Accepted { rejected: 7, message: "n\u{fffd}".to_owned() };
        let json = b"{\"partialSuccess\":{\"rejectedSpans\":7,\"errorMessage\":\"n\xff\"}}";
        assert_eq!(Accepted::decode(Format::Json, json.as_slice().into()), accepted);
        let protobuf = b"\x0a\x06\x08\x07\x12\x02n\xff";
        assert_eq!(Accepted::decode(Format::Protobuf, protobuf.as_slice().into()), accepted);
    }

    #[test]
    fn the_content_type_tells_the_format() {
        for (content_type, format) in [
            ("application/json", Some(Format::Json)),
            ("application/json; charset=utf-8", Some(Format::Json)),
            ("Application/X-Protobuf", Some(Format::Protobuf)),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(Format::of(Some(&HeaderValue::from_static(content_type))), format);
        }
        assert_eq!(Format::of(None), None);
    }
}
