//! `otlp::log_record`, as far as the request.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{self as proto, ResourceLogs, ScopeLogs};
use otel_rs_core::otlp::Batch;
use otel_rs_core::otlp::{LOG_RECORD_ATTRIBUTES, LogRecord};
use prost::Message;

use super::input::Input;
use super::json::assert_is_json;
use super::model::{self, Pair, assert_decodes_to};

pub fn log_records(data: &[u8]) {
    let mut input = Input::of(data);
    let scope = &model::scopes(&mut input)[0];
    let mut batch = Batch::default();
    let mut log_records = Vec::new();
    while !input.is_empty() {
        let (framed, record) = read_record(&mut input);
        batch.push(scope, &framed).unwrap();
        log_records.push(record);
    }
    let (resource, resource_schema_url) = model::resource_of(scope);
    let (scope, schema_url) = model::scope_of(scope);
    let mut expected = ExportLogsServiceRequest::default();
    if !log_records.is_empty() {
        let scope_logs = vec![ScopeLogs { scope, log_records, schema_url }];
        expected.resource_logs.push(ResourceLogs { resource, scope_logs, schema_url: resource_schema_url });
    }
    assert_decodes_to(&batch.into_request().unwrap(), &expected);
    assert_is_json(&expected);
}

fn read_record(input: &mut Input<'_>) -> (Vec<u8>, proto::LogRecord) {
    let attributes = Pair::read(input, LOG_RECORD_ATTRIBUTES);
    let (severity_text, event_name) = (input.text(), input.maybe(Input::text).unwrap_or_default());
    let body = input.any_value();
    let record = LogRecord {
        time_unix_nano: input.number(),
        observed_time_unix_nano: input.number(),
        severity_number: u64::from(input.byte() % 25),
        severity_text: &severity_text,
        body: &body.encode_to_vec(),
        attributes: &attributes.ours,
        dropped_attributes: input.number() as u32,
        flags: input.number() as u32,
        trace_id: input.maybe(|input| input.number().into()),
        span_id: input.maybe(Input::number),
        event_name: &event_name,
    };
    let mut framed = Vec::new();
    record.frame(&mut framed);
    let expected = proto::LogRecord {
        time_unix_nano: record.time_unix_nano,
        observed_time_unix_nano: record.observed_time_unix_nano,
        severity_number: record.severity_number as i32,
        severity_text: severity_text.clone(),
        body: Some(body),
        attributes: attributes.key_values(),
        dropped_attributes_count: record.dropped_attributes,
        flags: record.flags,
        trace_id: record.trace_id.map(|id| id.to_be_bytes().into()).unwrap_or_default(),
        span_id: record.span_id.map(|id| id.to_be_bytes().into()).unwrap_or_default(),
        event_name: event_name.clone(),
    };
    (framed, expected)
}
