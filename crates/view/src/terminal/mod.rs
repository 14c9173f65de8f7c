//! What is printed for a person: each trace once it is complete, with its log records; other records; metrics.

mod logs;
mod metrics;
mod span;
#[cfg(test)]
mod tests;
mod trace;

use std::io::{self, Write};
use std::time::Instant;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;

use crate::decoding::Export;
use crate::model::{Metrics, Trace, Traces, split};
use crate::screen::Screen;

/// Up so many lines, and everything from there on is gone.
fn erase(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}A\x1b[J") }
}

pub struct Terminal<W> {
    screen: Screen,
    out: W,
    traces: Traces,
    metrics: Metrics,
    /// How many lines the table of metrics has, which is below everything else.
    table_lines: usize,
}

impl<W: Write> Terminal<W> {
    pub fn new(screen: Screen, out: W) -> Self {
        let traces = if screen.is_programs { Traces::beside_program() } else { Traces::default() };
        Self { screen, out, traces, metrics: Metrics::default(), table_lines: 0 }
    }

    pub fn take(&mut self, export: Export) -> io::Result<()> {
        match export {
            Export::Traces(request) => {
                let evicted = self.traces.add(request, Instant::now());
                self.print_traces(&evicted)
            }
            Export::Logs(request) => self.take_logs(request),
            Export::Metrics(request) => {
                let touched = self.metrics.add(&request);
                if self.screen.is_ours {
                    return self.above_table(|_, _| Ok(()));
                }
                let lines = metrics::lines(&self.metrics, &touched, &self.screen);
                self.out.write_all(lines.as_bytes())?;
                self.out.flush()
            }
        }
    }

    fn take_logs(&mut self, request: ExportLogsServiceRequest) -> io::Result<()> {
        let (of_traces, others) = split(request);
        let mut evicted = Vec::new();
        for received in of_traces {
            evicted.extend(self.traces.add_log(received, Instant::now()));
        }
        self.print_traces(&evicted)?;
        let filter = &self.screen.filter;
        let wanted: Vec<_> =
            others.iter().filter(|received| filter.has_log(&received.service, &received.record)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        self.above_table(|screen, out| logs::write_alone(&wanted, screen, out))
    }

    /// When the next trace is complete, if nothing arrives.
    pub fn next_due(&self) -> Option<Instant> {
        self.traces.next_quiet()
    }

    pub fn print_due(&mut self) -> io::Result<()> {
        let quiet = self.traces.take_quiet(Instant::now());
        self.print_traces(&quiet)
    }

    pub fn print_rest(&mut self) -> io::Result<()> {
        let rest = self.traces.take_all();
        self.print_traces(&rest)
    }

    fn print_traces(&mut self, traces: &[Trace]) -> io::Result<()> {
        let filter = &self.screen.filter;
        let wanted: Vec<_> = traces.iter().filter_map(|trace| Some((trace, trace.logs_in(filter)?))).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        self.above_table(|screen, out| {
            wanted.iter().try_for_each(|(trace, logs)| trace::write(&trace.id, &trace.spans, logs, screen, out))
        })
    }

    /// Writes what stays, here or to the same screen by other means, and the table again below it. Whole lines, flushed: what is printed is seen, also through a
    /// pipe.
    pub fn above_table(&mut self, write: impl FnOnce(&Screen, &mut W) -> io::Result<()>) -> io::Result<()> {
        self.out.write_all(erase(std::mem::take(&mut self.table_lines)).as_bytes())?;
        self.out.flush()?;
        write(&self.screen, &mut self.out)?;
        if self.screen.is_ours {
            let table = metrics::table(&self.metrics, &self.screen);
            self.out.write_all(table.concat().as_bytes())?;
            self.table_lines = table.len();
        }
        self.out.flush()
    }
}
