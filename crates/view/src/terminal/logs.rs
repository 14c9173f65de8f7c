//! Log records as lines.

use std::io::{self, Write};

use anstyle::Style;

use crate::attributes::SEVERITY_ERROR;
use crate::model::{ReceivedLog, first_line, severity};
use crate::screen::Screen;
use crate::text::{BOLD, DIM, ERROR, Line, PLAIN, WARNING, clip, count, hex};

const MAX_SERVICE_CHARS: usize = 60;
const MAX_BODY_CHARS: usize = 120;
/// Of one span, and of one service in a request.
const MAX_RECORDS: usize = 20;
/// Of one request; a peer may send a resource with every record.
const MAX_SERVICES: usize = 20;
/// `SEVERITY_NUMBER_WARN`
const SEVERITY_WARN: i32 = 13;

/// The records of a span, below its line.
pub fn indented(records: &[&ReceivedLog], indent: &str, screen: &Screen, columns: Option<usize>) -> String {
    let mut text = String::new();
    for received in records.iter().take(MAX_RECORDS) {
        let mut line = Line::new(screen.paint, columns);
        line.push(PLAIN, indent);
        push_record(&mut line, received);
        text.push_str(&line.finish());
    }
    let hidden = records.len().saturating_sub(MAX_RECORDS);
    if hidden > 0 {
        text.push_str(&format!("{indent}… {hidden} more\n"));
    }
    text
}

/// Records whose span is not there: a line for each service and, below it, one for each record.
pub fn write_alone(records: &[&ReceivedLog], screen: &Screen, out: &mut impl Write) -> io::Result<()> {
    let mut by_service: Vec<(&str, Vec<&ReceivedLog>)> = Vec::new();
    for received in records {
        match by_service.iter().position(|(service, _)| *service == &*received.service) {
            Some(known) => by_service[known].1.push(received),
            None if by_service.len() < MAX_SERVICES => by_service.push((&received.service, vec![received])),
            None => {}
        }
    }
    let shown: usize = by_service.iter().map(|(_, records)| records.len()).sum();
    for (service, records) in by_service {
        out.write_all(of_service(service, &records, screen).as_bytes())?;
    }
    if records.len() > shown {
        writeln!(out, "logs  … {} of more services", count(records.len() - shown, "record"))?;
    }
    Ok(())
}

fn of_service(service: &str, records: &[&ReceivedLog], screen: &Screen) -> String {
    let columns = screen.size.columns();
    let mut line = Line::new(screen.paint, columns);
    line.push(DIM, "logs");
    line.push_column(BOLD, &clip(service, MAX_SERVICE_CHARS));
    line.push_column(PLAIN, &count(records.len(), "record"));
    let mut text = line.finish();
    let hidden = records.len().saturating_sub(MAX_RECORDS);
    for (i, received) in records.iter().take(MAX_RECORDS).enumerate() {
        let is_last = hidden == 0 && i + 1 == records.len();
        let mut line = Line::new(screen.paint, columns);
        line.push(PLAIN, if is_last { "└─ " } else { "├─ " });
        push_record(&mut line, received);
        if received.record.trace_id.iter().any(|byte| *byte != 0) {
            let ids = format!("(span {} of trace {})", hex(&received.record.span_id), hex(&received.record.trace_id));
            line.push_column(DIM, &ids);
        }
        text.push_str(&line.finish());
    }
    if hidden > 0 {
        text.push_str(&format!("└─ … {hidden} more\n"));
    }
    text
}

fn push_record(line: &mut Line, received: &ReceivedLog) {
    line.push(style(received.record.severity_number), &severity(&received.record));
    line.push_column(PLAIN, &first_line(&received.record, MAX_BODY_CHARS));
}

fn style(severity_number: i32) -> Style {
    match severity_number {
        SEVERITY_ERROR.. => ERROR,
        SEVERITY_WARN.. => WARNING,
        _ => DIM,
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::logs::v1::LogRecord;

    use super::*;

    #[test]
    fn records_of_very_many_services_are_a_few_lines() {
        let many: Vec<_> = (0..1000)
            .map(|number| ReceivedLog { service: number.to_string().into(), record: LogRecord::default() })
            .collect();
        let mut out = Vec::new();
        write_alone(&many.iter().collect::<Vec<_>>(), &Screen::default(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2 * MAX_SERVICES + 1);
        assert!(text.ends_with("logs  … 980 records of more services\n"), "{text}");
        let many: Vec<_> =
            (0..1000).map(|_| ReceivedLog { service: "a".into(), record: LogRecord::default() }).collect();
        let text = indented(&many.iter().collect::<Vec<_>>(), "  ", &Screen::default(), None);
        assert_eq!(text.lines().count(), MAX_RECORDS + 1);
        assert!(text.ends_with("  … 980 more\n"), "{text}");
    }
}
