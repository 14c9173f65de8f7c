//! A log record as an OTLP message (opentelemetry/proto/logs/v1/logs.proto).

use crate::otlp::attributes::Attributes;
use crate::otlp::memory::{OutOfMemory, make_room};
use crate::otlp::wire::{self, fixed64_tag, len_tag, varint_tag};

pub const LOG_RECORD_ATTRIBUTES: u8 = 6;

/// `ScopeLogs.log_records`: the field that a record is framed as.
const SCOPE_LOGS_LOG_RECORDS: u8 = 2;

/// Everything of a log record, borrowed.
pub struct LogRecord<'a> {
    pub time_unix_nano: u64,
    pub observed_time_unix_nano: u64,
    /// `SeverityNumber`; 0 if there is none.
    pub severity_number: u64,
    pub severity_text: &'a str,
    /// An encoded AnyValue message.
    pub body: &'a [u8],
    pub attributes: &'a Attributes,
    pub dropped_attributes: u32,
    pub flags: u32,
    pub trace_id: Option<u128>,
    pub span_id: Option<u64>,
    pub event_name: &'a str,
}

impl LogRecord<'_> {
    /// Appends the record as one `ScopeLogs.log_records` field: what a batch is made of. Without memory for it, `out`
    /// stays as it is.
    pub fn try_frame(&self, out: &mut Vec<u8>) -> Result<(), OutOfMemory> {
        let texts = self.severity_text.len() + self.event_name.len();
        make_room(out, 192 + texts + self.body.len() + self.attributes.wire_len())?;
        self.frame(out);
        Ok(())
    }

    pub fn frame(&self, out: &mut Vec<u8>) {
        let start = out.len();
        if self.time_unix_nano != 0 {
            wire::put_fixed64(out, fixed64_tag(1), self.time_unix_nano);
        }
        wire::put_uint(out, varint_tag(2), self.severity_number);
        put_text(out, 3, self.severity_text);
        // A body of None is written too, as an empty message: so does the Python SDK.
        wire::put_bytes(out, len_tag(5), self.body);
        self.attributes.write(out);
        wire::put_uint(out, varint_tag(7), u64::from(self.dropped_attributes));
        if self.flags != 0 {
            out.push(8 << 3 | 5);
            out.extend_from_slice(&self.flags.to_le_bytes());
        }
        if let Some(trace_id) = self.trace_id {
            wire::put_bytes(out, len_tag(9), &trace_id.to_be_bytes());
        }
        if let Some(span_id) = self.span_id {
            wire::put_bytes(out, len_tag(10), &span_id.to_be_bytes());
        }
        if self.observed_time_unix_nano != 0 {
            wire::put_fixed64(out, fixed64_tag(11), self.observed_time_unix_nano);
        }
        put_text(out, 12, self.event_name);
        wire::frame_from(out, start, len_tag(SCOPE_LOGS_LOG_RECORDS));
    }
}

fn put_text(out: &mut Vec<u8>, field: u8, text: &str) {
    if !text.is_empty() {
        wire::put_bytes(out, len_tag(field), text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::logs::v1 as proto;
    use prost::Message;

    #[test]
    fn record_decodes_to_what_was_put_in() {
        let mut attributes = Attributes::new(LOG_RECORD_ATTRIBUTES, None);
        attributes.set("k", 1, b"\x0a\x01v", false);
        let record = LogRecord {
            time_unix_nano: 1,
            observed_time_unix_nano: 2,
            severity_number: 13,
            severity_text: "WARN",
            body: b"\x0a\x02hi",
            attributes: &attributes,
            dropped_attributes: 300,
            flags: 1,
            trace_id: Some(5),
            span_id: Some(6),
            event_name: "event",
        };
        let bare = LogRecord {
            time_unix_nano: 0,
            observed_time_unix_nano: 0,
            severity_number: 0,
            severity_text: "",
            body: b"",
            attributes: &Attributes::new(LOG_RECORD_ATTRIBUTES, None),
            dropped_attributes: 0,
            flags: 0,
            trace_id: None,
            span_id: None,
            event_name: "",
        };
        let mut out = Vec::new();
        record.frame(&mut out);
        bare.frame(&mut out);
        let records = proto::ScopeLogs::decode(&out[..]).unwrap().log_records;
        let [record, bare] = &records[..] else { panic!("two records") };
        assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (1, 2));
        assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "WARN"));
        let body = record.body.as_ref().unwrap().value.clone();
        assert_eq!(body, Some(Value::StringValue("hi".into())));
        assert_eq!((record.attributes[0].key.as_str(), record.dropped_attributes_count), ("k", 300));
        assert_eq!((record.flags, record.event_name.as_str()), (1, "event"));
        assert_eq!((&record.trace_id[..], &record.span_id[..]), (&5u128.to_be_bytes()[..], &6u64.to_be_bytes()[..]));
        let body = Some(opentelemetry_proto::tonic::common::v1::AnyValue { value: None });
        assert_eq!(*bare, proto::LogRecord { body, ..Default::default() });
    }
}
