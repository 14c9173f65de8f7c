//! Log records: those that belong to a trace go there, the others are kept here.

use std::collections::VecDeque;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use crate::attributes::{push_value, service_name};
use crate::measure::log_bytes;
use crate::text::{Clipped, clip};

const MAX_RECORDS: usize = 1_000;
const MAX_BYTES: usize = 16 * 1024 * 1024;
const MAX_SEVERITY_CHARS: usize = 16;

pub struct ReceivedLog {
    pub service: Arc<str>,
    pub record: LogRecord,
}

impl ReceivedLog {
    pub fn bytes(&self) -> usize {
        log_bytes(&self.record) + self.service.len()
    }

    fn belongs_to_a_trace(&self) -> bool {
        self.record.trace_id.iter().any(|byte| *byte != 0)
    }
}

/// The records of a request that belong to traces, and the others.
pub fn split(request: ExportLogsServiceRequest) -> (Vec<ReceivedLog>, Vec<ReceivedLog>) {
    let mut received = Vec::new();
    for resource in request.resource_logs {
        let service: Arc<str> = service_name(resource.resource.as_ref()).into();
        let records = resource.scope_logs.into_iter().flat_map(|scope| scope.log_records);
        received.extend(records.map(|record| ReceivedLog { service: service.clone(), record }));
    }
    received.into_iter().partition(ReceivedLog::belongs_to_a_trace)
}

/// The newest records that belong to no trace.
#[derive(Default)]
pub struct OtherLogs {
    records: VecDeque<(usize, ReceivedLog)>,
    bytes: usize,
    pub dropped: u64,
}

impl OtherLogs {
    pub fn add(&mut self, received: ReceivedLog) {
        let bytes = received.bytes();
        self.bytes += bytes;
        self.records.push_back((bytes, received));
        while self.records.len() > MAX_RECORDS || self.bytes > MAX_BYTES {
            if let Some((bytes, _)) = self.records.pop_front() {
                self.bytes -= bytes;
                self.dropped += 1;
            }
        }
    }

    pub fn newest_first(&self) -> impl Iterator<Item = &ReceivedLog> {
        self.records.iter().rev().map(|(_, received)| received)
    }
}

/// The record's own word for its severity, or the usual one for its number.
pub fn severity(record: &LogRecord) -> String {
    let usual = match record.severity_number {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21..=24 => "FATAL",
        _ => "LOG",
    };
    if record.severity_text.is_empty() { usual.to_owned() } else { clip(&record.severity_text, MAX_SEVERITY_CHARS) }
}

/// What the record says, as far as it has room in a line.
pub fn first_line(record: &LogRecord, max_chars: usize) -> String {
    let mut out = Clipped::new(max_chars);
    match record.body.as_ref() {
        Some(body) => match &body.value {
            Some(Value::StringValue(text)) => out.push(text.lines().next().unwrap_or_default()),
            _ => push_value(&mut out, Some(body)),
        },
        // An event may have only a name.
        None => out.push(&record.event_name),
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_records_make_room_and_are_counted() {
        let mut logs = OtherLogs::default();
        for number in 0..MAX_RECORDS + 5 {
            let record = LogRecord { severity_number: number as i32, ..LogRecord::default() };
            logs.add(ReceivedLog { service: "a".into(), record });
        }
        assert_eq!(logs.dropped, 5);
        assert_eq!(logs.newest_first().count(), MAX_RECORDS);
        assert_eq!(logs.newest_first().last().unwrap().record.severity_number, 5);

        let event_name = "x".repeat(MAX_BYTES / 2);
        for _ in 0..3 {
            let record = LogRecord { event_name: event_name.clone(), ..LogRecord::default() };
            logs.add(ReceivedLog { service: "a".into(), record });
        }
        assert_eq!(logs.newest_first().count(), 1);
        assert!(logs.bytes <= MAX_BYTES);
    }
}
