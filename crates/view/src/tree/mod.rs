//! A trace as a tree of lines.

mod forest;
mod span;
#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, Write};
use std::rc::Rc;

use crate::pending::ReceivedSpan;
use crate::text::{Paint, clip, count, hex};
use forest::{Forest, Node, Parent};
use span::{MAX_SERVICE_CHARS, duration, span_text};

const MAX_SERVICES: usize = 4;
/// Deeper spans are not indented further: the lines of a chain of thousands would be quadratic in size.
const MAX_INDENT: usize = 64;

/// Writes the trace with a header line, each line ended. Line by line: all of them may be far longer than the spans.
pub fn write(trace_id: &[u8], spans: &[ReceivedSpan], paint: Paint, out: &mut impl Write) -> io::Result<()> {
    let forest = Forest::new(spans);
    let mut out = BufWriter::new(out);
    let mut services: Vec<&str> = Vec::new();
    for line in Lines::new(&forest, spans) {
        let service = &*spans[line.node.index].service;
        if !services.contains(&service) {
            services.push(service);
        }
        if services.len() > MAX_SERVICES {
            break;
        }
    }
    out.write_all(header(trace_id, spans, &services, paint).as_bytes())?;
    for line in Lines::new(&forest, spans) {
        let ReceivedSpan { service, span } = &spans[line.node.index];
        let branch = if line.last { "└─ " } else { "├─ " };
        let own_service = (**service != *line.parent_service).then_some(&**service);
        writeln!(out, "{}{branch}{}", line.prefix, span_text(span, own_service, line.node.parent, paint))?;
    }
    out.flush()
}

fn header(trace_id: &[u8], spans: &[ReceivedSpan], services: &[&str], paint: Paint) -> String {
    let mut names: Vec<String> = services.iter().take(MAX_SERVICES).map(|name| clip(name, MAX_SERVICE_CHARS)).collect();
    if services.len() > MAX_SERVICES {
        names.push("…".to_owned());
    }
    let id = if trace_id.is_empty() { "(no trace id)".to_owned() } else { hex(trace_id) };
    let start = spans.iter().map(|received| received.span.start_time_unix_nano).min().unwrap_or(0);
    let end = spans.iter().map(|received| received.span.end_time_unix_nano).max().unwrap_or(0);
    let services = paint.bold(&names.join(", "));
    format!("trace {id}  {services}  {}  {}\n", count(spans.len(), "span"), duration(start, end))
}

/// What a line is made of.
struct Line<'a> {
    node: Node,
    prefix: Rc<str>,
    last: bool,
    depth: usize,
    parent_service: &'a str,
}

/// The lines of a trace from top to bottom. With a stack and not by recursion: the depth of the tree is the peer's
/// choice.
struct Lines<'a> {
    forest: &'a Forest,
    spans: &'a [ReceivedSpan],
    stack: Vec<Line<'a>>,
}

impl<'a> Lines<'a> {
    fn new(forest: &'a Forest, spans: &'a [ReceivedSpan]) -> Self {
        let first_service = forest.roots.first().map_or("", |root| &spans[root.index].service);
        let mut stack = Vec::new();
        push_siblings(&mut stack, forest.roots.iter().copied(), &"".into(), 0, first_service);
        Self { forest, spans, stack }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let line = self.stack.pop()?;
        let prefix = if line.depth < MAX_INDENT {
            format!("{}{}", line.prefix, if line.last { "   " } else { "│  " }).into()
        } else {
            line.prefix.clone()
        };
        let children = self.forest.children[line.node.index].iter();
        let children = children.map(|&index| Node { index, parent: Parent::Above });
        push_siblings(&mut self.stack, children, &prefix, line.depth + 1, &self.spans[line.node.index].service);
        Some(line)
    }
}

/// Puts siblings on the stack so that the first is popped first.
fn push_siblings<'a>(
    stack: &mut Vec<Line<'a>>,
    nodes: impl DoubleEndedIterator<Item = Node>,
    prefix: &Rc<str>,
    depth: usize,
    parent_service: &'a str,
) {
    stack.extend(nodes.rev().enumerate().map(|(i, node)| Line {
        node,
        prefix: prefix.clone(),
        last: i == 0,
        depth,
        parent_service,
    }));
}
