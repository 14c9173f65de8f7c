//! Which of what arrives is shown.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::attributes::SEVERITY_ERROR;

/// A trace is shown if one of its spans meets everything that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Exactly this service.
    pub service: Option<String>,
    /// A part of the span's name, in any case.
    pub name: Option<String>,
    pub min_duration_nanos: u64,
    /// Only what failed.
    pub errors: bool,
}

impl Filter {
    pub fn has_span(&self, service: &str, span: &Span) -> bool {
        let is_error = || span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32);
        self.has_service(service)
            && self.name.as_ref().is_none_or(|name| span.name.to_lowercase().contains(&name.to_lowercase()))
            && span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) >= self.min_duration_nanos
            && (!self.errors || is_error())
    }

    /// A log record that belongs to no span.
    pub fn has_log(&self, service: &str, record: &LogRecord) -> bool {
        let is_error = record.severity_number >= SEVERITY_ERROR;
        self.has_service(service) && !self.asks_for_spans() && (!self.errors || is_error)
    }

    pub fn has_metrics_of(&self, service: &str) -> bool {
        self.has_service(service) && !self.asks_for_spans() && !self.errors
    }

    fn has_service(&self, service: &str) -> bool {
        self.service.as_ref().is_none_or(|wanted| wanted == service)
    }

    /// What only a span has.
    fn asks_for_spans(&self) -> bool {
        self.name.is_some() || self.min_duration_nanos > 0
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::Status;

    use super::*;

    #[test]
    fn one_span_must_meet_everything() {
        let span = |code, end| Span {
            name: "GET /Users".to_owned(),
            status: Some(Status { code, message: String::new() }),
            end_time_unix_nano: end,
            ..Span::default()
        };
        let filter = Filter {
            service: Some("shop".to_owned()),
            name: Some("/users".to_owned()),
            min_duration_nanos: 10,
            errors: true,
        };
        assert!(filter.has_span("shop", &span(2, 10)));
        assert!(!filter.has_span("shop", &span(2, 9)));
        assert!(!filter.has_span("shop", &span(1, 10)));
        assert!(!filter.has_span("shopping", &span(2, 10)));
        assert!(!Filter { name: Some("/user/".to_owned()), ..filter }.has_span("shop", &span(2, 10)));
        assert!(Filter::default().has_span("", &Span::default()));
    }

    #[test]
    fn what_has_no_span_is_hidden_where_a_span_is_asked_for() {
        let record = |severity_number| LogRecord { severity_number, ..LogRecord::default() };
        let errors = Filter { errors: true, ..Filter::default() };
        assert!(errors.has_log("a", &record(17)));
        assert!(!errors.has_log("a", &record(16)));
        assert!(!errors.has_metrics_of("a"));
        let named = Filter { name: Some("x".to_owned()), ..Filter::default() };
        assert!(!named.has_log("a", &record(17)));
        let service = Filter { service: Some("a".to_owned()), ..Filter::default() };
        assert!(service.has_metrics_of("a") && !service.has_metrics_of("b"));
    }
}
