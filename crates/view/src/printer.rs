//! The printing thread: takes requests from the servers and shows what they say.
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
use crate::json;
use crate::page::Kept;
use crate::terminal::Terminal;

/// Starts the thread. The second value is ready when it has ended, on request or because `out` cannot be written.
pub fn start(
    format: Format,
    limits: Limits,
    answers_when_printed: bool,
    out: impl Write + Send + 'static,
    err: impl Write + Send + 'static,
) -> io::Result<(Intake, oneshot::Receiver<io::Result<()>>)> {
    let (intake, jobs) = Intake::new(limits, answers_when_printed);
    let (ended, end) = oneshot::channel();
    let gate = intake.clone();
    thread::Builder::new().name("otel-rs-view".to_owned()).spawn(move || {
        let shown = match format {
            Format::Terminal(screen) => Shown::Terminal(Box::new(Terminal::new(screen, out))),
            Format::Json => Shown::Json(out),
            Format::Page => Shown::Page(Box::default()),
        };
        let result = Printer { shown, err }.run(&jobs);
        gate.close();
        // Nobody listens any more if the deadline of the shutdown has passed.
        let _ = ended.send(result);
    })?;
    Ok((intake, end))
}

/// The ways to show what was received.
enum Shown<W> {
    Terminal(Box<Terminal<W>>),
    Json(W),
    Page(Box<Kept>),
}

struct Printer<W, E> {
    shown: Shown<W>,
    err: E,
}

impl<W: Write, E: Write> Printer<W, E> {
    fn run(&mut self, jobs: &Receiver<Job>) -> io::Result<()> {
        loop {
            let job = match self.next_due() {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => jobs.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match job {
                Ok(Job::Print(export, _room)) => self.take(export)?,
                Ok(Job::Tell(line, _room)) => self.tell(&line)?,
                Ok(Job::Ask(question, reply)) => {
                    if let Shown::Page(kept) = &mut self.shown {
                        kept.ask(question, reply);
                    }
                }
                Ok(Job::Finish) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.do_due()?;
        }
        match &mut self.shown {
            Shown::Terminal(terminal) => terminal.print_rest(),
            Shown::Json(_) | Shown::Page(_) => Ok(()),
        }
    }

    fn take(&mut self, export: Export) -> io::Result<()> {
        match &mut self.shown {
            Shown::Terminal(terminal) => terminal.take(export),
            Shown::Json(out) => json::write_line(&export, out),
            Shown::Page(kept) => {
                kept.take(export);
                Ok(())
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        match &self.shown {
            Shown::Terminal(terminal) => terminal.next_due(),
            Shown::Json(_) => None,
            Shown::Page(kept) => kept.next_due(),
        }
    }

    fn do_due(&mut self) -> io::Result<()> {
        match &mut self.shown {
            Shown::Terminal(terminal) => terminal.print_due(),
            Shown::Json(_) => Ok(()),
            Shown::Page(kept) => {
                kept.answer_due();
                Ok(())
            }
        }
    }

    fn tell(&mut self, line: &str) -> io::Result<()> {
        let mut tell = || {
            // Who has closed stderr does not want to be told.
            let _ = writeln!(self.err, "otel-rs view: {line}");
            Ok(())
        };
        match &mut self.shown {
            Shown::Terminal(terminal) => terminal.above_table(|_, _| tell()),
            Shown::Json(_) | Shown::Page(_) => tell(),
        }
    }
}
