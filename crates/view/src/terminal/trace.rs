//! A trace as a tree of lines, each with a bar for its time where there is a screen, and the log records of each span.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

use unicode_width::UnicodeWidthStr;

use super::logs::{indented, write_alone};
use super::span::{MAX_SERVICE_CHARS, SpanText, duration};
use crate::model::{Forest, ReceivedLog, ReceivedSpan, Row, Rows};
use crate::screen::Screen;
use crate::text::{BAR, BOLD, DIM, ERROR, Line, PLAIN, clip, count, hex, pad};

const MAX_SERVICES: usize = 4;
/// Deeper spans are not indented further: the lines of a chain of thousands would be quadratic in size.
const MAX_INDENT: usize = 64;
/// Of `999.9 ms`.
const DURATION_COLUMNS: usize = 8;

/// Writes the trace with a header line, each line ended. Line by line: all of them may be far longer than the spans.
pub fn write(
    id: &[u8],
    spans: &[ReceivedSpan],
    logs: &[&ReceivedLog],
    screen: &Screen,
    out: &mut impl Write,
) -> io::Result<()> {
    if spans.is_empty() {
        return write_alone(logs, screen, out);
    }
    let forest = Forest::new(spans);
    let mut out = BufWriter::new(out);
    let columns = screen.size.columns();
    out.write_all(header(id, &forest, spans, logs, screen).as_bytes())?;
    let waterfall = columns.map(|columns| Waterfall::new(columns, &forest, spans));
    let mut logs = by_span(logs);
    let mut branches = Branches::default();
    for row in Rows::new(&forest, spans) {
        let ReceivedSpan { service, span } = &spans[row.node.index];
        let own_service = (**service != *row.parent_service).then_some(&**service);
        let text = SpanText::new(span, own_service, row.node.parent);
        let indent = branches.enter(&row, waterfall.as_ref().map_or(MAX_INDENT, Waterfall::max_indent));
        let mut line = Line::new(screen.paint, columns);
        match &waterfall {
            Some(waterfall) => waterfall.push(&mut line, &indent, &text, span_times(&spans[row.node.index])),
            None => push_whole(&mut line, &indent, &text),
        }
        out.write_all(line.finish().as_bytes())?;
        let below = branches.below(!forest.children[row.node.index].is_empty());
        let records = logs.remove(span.span_id.as_slice()).unwrap_or_default();
        out.write_all(indented(&records, &below, screen, columns).as_bytes())?;
    }
    let mut rest: Vec<&ReceivedLog> = logs.into_values().flatten().collect();
    rest.sort_by_key(|received| received.record.time_unix_nano);
    write_alone(&rest, screen, &mut out)?;
    out.flush()
}

fn span_times(received: &ReceivedSpan) -> (u64, u64) {
    (received.span.start_time_unix_nano, received.span.end_time_unix_nano)
}

/// The first and the last nanosecond of the spans.
fn times(spans: &[ReceivedSpan]) -> (u64, u64) {
    let start = spans.iter().map(|received| span_times(received).0).min().unwrap_or(0);
    let end = spans.iter().map(|received| span_times(received).1).max().unwrap_or(0);
    (start, end)
}

fn by_span<'a>(logs: &[&'a ReceivedLog]) -> HashMap<&'a [u8], Vec<&'a ReceivedLog>> {
    let mut by_span: HashMap<&[u8], Vec<&ReceivedLog>> = HashMap::new();
    for received in logs {
        by_span.entry(&received.record.span_id).or_default().push(received);
    }
    for records in by_span.values_mut() {
        records.sort_by_key(|received| received.record.time_unix_nano);
    }
    by_span
}

fn header(id: &[u8], forest: &Forest, spans: &[ReceivedSpan], logs: &[&ReceivedLog], screen: &Screen) -> String {
    let mut services: Vec<&str> = Vec::new();
    for row in Rows::new(forest, spans) {
        let service = &*spans[row.node.index].service;
        if !services.contains(&service) {
            services.push(service);
        }
        if services.len() > MAX_SERVICES {
            break;
        }
    }
    let mut names: Vec<String> = services.iter().take(MAX_SERVICES).map(|name| clip(name, MAX_SERVICE_CHARS)).collect();
    if services.len() > MAX_SERVICES {
        names.push("…".to_owned());
    }
    let (start, end) = times(spans);
    let mut line = Line::new(screen.paint, screen.size.columns());
    line.push(DIM, "trace ");
    line.push(DIM, &if id.is_empty() { "(no trace id)".to_owned() } else { hex(id) });
    line.push_column(BOLD, &names.join(", "));
    line.push_column(PLAIN, &count(spans.len(), "span"));
    line.push_column(PLAIN, &duration(start, end));
    if !logs.is_empty() {
        line.push_column(PLAIN, &count(logs.len(), "log record"));
    }
    line.finish()
}

fn push_whole(line: &mut Line, indent: &str, text: &SpanText) {
    line.push(PLAIN, indent);
    line.push(BOLD, &text.name);
    line.push_column(PLAIN, &text.service);
    line.push_column(PLAIN, &text.kind);
    line.push_column(PLAIN, &text.duration);
    push_rest(line, text);
}

fn push_rest(line: &mut Line, text: &SpanText) {
    for (style, piece) in &text.rest {
        line.push(*style, piece);
    }
}

/// The lines that lead to the spans, of which the deepest are drawn as if they were not so deep.
#[derive(Default)]
struct Branches {
    /// Whether each span above is the last of its siblings.
    last: Vec<bool>,
    max_indent: usize,
}

impl Branches {
    /// What stands before the row's name.
    fn enter(&mut self, row: &Row, max_indent: usize) -> String {
        self.last.truncate(row.depth);
        self.max_indent = max_indent;
        let indent = self.indent();
        self.last.push(row.is_last);
        format!("{indent}{}", if row.is_last { "└─ " } else { "├─ " })
    }

    /// What stands before the lines that belong to the last row.
    fn below(&self, has_children: bool) -> String {
        format!("{}{}", self.indent(), if has_children { "│  " } else { "   " })
    }

    fn indent(&self) -> String {
        self.last.iter().take(self.max_indent).map(|is_last| if *is_last { "   " } else { "│  " }).collect()
    }
}

/// The columns of a screen: name, bar, duration, and what else has room.
struct Waterfall {
    label: usize,
    bar: usize,
    start: u64,
    end: u64,
}

impl Waterfall {
    fn new(columns: usize, forest: &Forest, spans: &[ReceivedSpan]) -> Self {
        let most = columns * 2 / 5;
        let width = |row: Row| {
            let received = &spans[row.node.index];
            let own_service = *received.service != *row.parent_service;
            let service = if own_service { clip(&received.service, MAX_SERVICE_CHARS).width() + 4 } else { 0 };
            3 * (row.depth + 1).min(most) + clip(&received.span.name, most).width() + service
        };
        let longest = Rows::new(forest, spans).map(width).max().unwrap_or(0);
        let (start, end) = times(spans);
        Self { label: longest.clamp(most / 2, most), bar: (columns / 4).clamp(8, 40), start, end }
    }

    /// So deep that half of the label is left for the name.
    fn max_indent(&self) -> usize {
        self.label / 6
    }

    fn push(&self, line: &mut Line, indent: &str, text: &SpanText, (start, end): (u64, u64)) {
        line.push(PLAIN, indent);
        let columns = self.label.saturating_sub(indent.width());
        if text.service.is_empty() {
            line.push(BOLD, &pad(&text.name, columns));
        } else {
            let name = pad(&text.name, text.name.width().min(columns.saturating_sub(text.service.width() + 1)).max(1));
            let service = pad(&text.service, columns.saturating_sub(name.width() + 1));
            line.push(BOLD, &name);
            line.push(PLAIN, " ");
            line.push(DIM, &service);
        }
        line.push(PLAIN, " ");
        line.push(if text.is_error { ERROR } else { BAR }, &self.bar(start, end));
        line.push(PLAIN, &format!(" {:>DURATION_COLUMNS$}", text.duration));
        if !matches!(&*text.kind, "INTERNAL" | "UNSPECIFIED") {
            line.push_column(DIM, &text.kind);
        }
        push_rest(line, text);
    }

    /// Where the time from `start` to `end` is in that of the trace; at least one block.
    fn bar(&self, start: u64, end: u64) -> String {
        let total = self.end.saturating_sub(self.start).max(1) as f64;
        let column = |time: u64| (time.saturating_sub(self.start) as f64 / total * self.bar as f64).round() as usize;
        let from = column(start).min(self.bar - 1);
        let to = column(end).clamp(from + 1, self.bar);
        format!("{}{}{}", " ".repeat(from), "█".repeat(to - from), " ".repeat(self.bar - to))
    }
}
