//! Metrics and logs in short: this is a viewer of traces, and the other signals are shown so that one sees they arrive.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use crate::attributes::{push_value, service_name};
use crate::text::{Clipped, Paint, clip, count};

const MAX_SERVICE_CHARS: usize = 60;
const MAX_METRIC_NAMES_CHARS: usize = 120;
const MAX_BODY_CHARS: usize = 120;
const MAX_LOG_RECORDS: usize = 20;
/// Of one request; a peer may send a resource with every record, or nothing but resources.
const MAX_RESOURCES: usize = 20;

/// One line a resource: `metrics  my-service  2 metrics  http.server.duration, queue.size`.
pub fn metrics(request: &ExportMetricsServiceRequest, paint: Paint) -> String {
    let mut out = String::new();
    for resource in request.resource_metrics.iter().take(MAX_RESOURCES) {
        let metrics = || resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
        let mut names = Clipped::new(MAX_METRIC_NAMES_CHARS);
        for (i, metric) in metrics().enumerate() {
            if names.is_cut() {
                break;
            }
            names.push(if i == 0 { "" } else { ", " });
            names.push(&metric.name);
        }
        let service = paint.bold(&clip(service_name(resource.resource.as_ref()), MAX_SERVICE_CHARS));
        let line = format!("metrics  {service}  {}  {}", count(metrics().count(), "metric"), names.finish());
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out + &more_resources("metrics", request.resource_metrics.len())
}

/// One line a resource and, below it, the severity and the first line of each record.
pub fn logs(request: &ExportLogsServiceRequest, paint: Paint) -> String {
    let mut out = String::new();
    for resource in request.resource_logs.iter().take(MAX_RESOURCES) {
        let records: Vec<_> = resource.scope_logs.iter().flat_map(|scope| &scope.log_records).collect();
        let service = paint.bold(&clip(service_name(resource.resource.as_ref()), MAX_SERVICE_CHARS));
        out.push_str(&format!("logs  {service}  {}\n", count(records.len(), "record")));
        let hidden = records.len().saturating_sub(MAX_LOG_RECORDS);
        for (i, record) in records.iter().take(MAX_LOG_RECORDS).enumerate() {
            let last = hidden == 0 && i + 1 == records.len();
            let line =
                format!("{} {}  {}", if last { "└─" } else { "├─" }, severity(record, paint), first_line(record));
            out.push_str(line.trim_end());
            out.push('\n');
        }
        if hidden > 0 {
            out.push_str(&format!("└─ … {hidden} more\n"));
        }
    }
    out + &more_resources("logs", request.resource_logs.len())
}

fn more_resources(signal: &str, resources: usize) -> String {
    match resources.saturating_sub(MAX_RESOURCES) {
        0 => String::new(),
        hidden => format!("{signal}  … of {hidden} more {}\n", if hidden == 1 { "resource" } else { "resources" }),
    }
}

fn severity(record: &LogRecord, paint: Paint) -> String {
    let name = match record.severity_number {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21..=24 => "FATAL",
        _ => "LOG",
    };
    let text = if record.severity_text.is_empty() { name.to_owned() } else { clip(&record.severity_text, 16) };
    if record.severity_number >= 17 { paint.red(&text) } else { text }
}

fn first_line(record: &LogRecord) -> String {
    let mut out = Clipped::new(MAX_BODY_CHARS);
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
    use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
    use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;

    use super::*;

    #[test]
    fn a_request_with_very_many_resources_is_a_few_lines() {
        let many = ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics::default(); 1000] };
        let text = metrics(&many, Paint::PLAIN);
        assert_eq!(text.lines().count(), MAX_RESOURCES + 1);
        assert!(text.ends_with("metrics  … of 980 more resources\n"), "{text}");
        let many = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs::default(); 1000] };
        assert_eq!(logs(&many, Paint::PLAIN).lines().count(), MAX_RESOURCES + 1);
    }
}
