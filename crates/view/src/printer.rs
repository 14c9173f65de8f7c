//! The printing thread: takes requests from the servers and writes to the terminal.
//!
//! A thread of its own, because a terminal can stop taking output (Ctrl-S, a pager) for as long as it likes, and the
//! servers have to go on hearing the signal that ends them.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::config::{Format, Limits};
use crate::decoding::Export;
use crate::intake::{Intake, Job};
use crate::pending::{PendingTraces, Trace};
use crate::{json, summary, tree};

/// Starts the thread. The second value is ready when it has ended, on request or because `out` cannot be written.
pub fn start(
    format: Format,
    limits: Limits,
    out: impl Write + Send + 'static,
    err: impl Write + Send + 'static,
) -> io::Result<(Intake, oneshot::Receiver<io::Result<()>>)> {
    let (intake, jobs) = Intake::new(limits);
    let (ended, end) = oneshot::channel();
    let gate = intake.clone();
    thread::Builder::new().name("otel-rs-view".to_owned()).spawn(move || {
        let mut printer = Printer { format, out, err, pending: PendingTraces::default() };
        let result = printer.run(&jobs);
        gate.close();
        // Nobody listens any more if the deadline of the shutdown has passed.
        let _ = ended.send(result);
    })?;
    Ok((intake, end))
}

struct Printer<W, E> {
    format: Format,
    out: W,
    err: E,
    pending: PendingTraces,
}

impl<W: Write, E: Write> Printer<W, E> {
    fn run(&mut self, jobs: &Receiver<Job>) -> io::Result<()> {
        loop {
            let job = match self.pending.next_quiet() {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => jobs.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match job {
                Ok(Job::Print(export, _room)) => self.print(export)?,
                Ok(Job::Tell(line, _room)) => self.tell(&line),
                Ok(Job::Finish) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let quiet = self.pending.take_quiet(Instant::now());
            self.print_traces(&quiet)?;
        }
        let rest = self.pending.take_all();
        self.print_traces(&rest)
    }

    fn print(&mut self, export: Export) -> io::Result<()> {
        let text = match (self.format, export) {
            (Format::Json, export) => return json::write_line(&export, &mut self.out),
            (Format::Tree(_), Export::Traces(request)) => {
                let evicted = self.pending.add(request, Instant::now());
                return self.print_traces(&evicted);
            }
            (Format::Tree(paint), Export::Metrics(request)) => summary::metrics(&request, paint),
            (Format::Tree(paint), Export::Logs(request)) => summary::logs(&request, paint),
        };
        self.write(&text)
    }

    fn tell(&mut self, line: &str) {
        // Who has closed stderr does not want to be told.
        let _ = writeln!(self.err, "otel-rs view: {line}");
    }

    fn print_traces(&mut self, traces: &[Trace]) -> io::Result<()> {
        if let Format::Tree(paint) = self.format {
            for trace in traces {
                tree::write(&trace.id, &trace.spans, paint, &mut self.out)?;
            }
            self.out.flush()?;
        }
        Ok(())
    }

    /// Whole lines, flushed: what is printed is seen, also through a pipe.
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}
