//! From an ended span to an export: bounded batches, a worker, exact counts. Nothing here knows Python, so nothing
//! here can take the GIL.

mod counters;
mod queue;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

pub use counters::{Counts, Processed};

use crate::fork::PerProcess;
use crate::otlp::batch::Scope;
use crate::otlp::exporter::Exporter;
use crate::report::{Kind, Level, report};
use crate::runtime;
use counters::Counters;
use queue::{Pushed, Queue};

/// The bounds of a pipeline; the first four are those of the specification's batching processor.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    pub max_queue_size: usize,
    pub schedule_delay: Duration,
    pub max_export_batch_size: usize,
    pub export_timeout: Duration,
    /// Framed bytes that may wait, whatever their number.
    pub max_queue_bytes: usize,
    /// Length of a request, uncompressed, from which on a batch is closed before it has its number of spans.
    pub max_request_bytes: usize,
    /// Exports under way at a time, one or more.
    pub max_concurrent_exports: usize,
}

/// Takes framed spans from any thread and exports them on the runtime's thread.
pub struct Pipeline {
    config: PipelineConfig,
    exporter: Arc<Exporter>,
    state: PerProcess<Arc<State>>,
    /// Outlives a fork: what was shut down before it stays so in the child.
    closed: AtomicBool,
}

/// What belongs to one process; a forked child makes its own and starts empty.
struct State {
    queue: Queue,
    counters: Counters,
    wake: Notify,
    started: AtomicBool,
    /// Set by shutdown: try each batch once, without waiting to try again.
    draining: watch::Sender<bool>,
    /// Set when shutdown's deadline has passed: whatever is left is dropped.
    abandoned: watch::Sender<bool>,
}

/// What a flush waits for: all spans taken before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

impl Pipeline {
    pub fn new(config: PipelineConfig, exporter: Arc<Exporter>) -> Self {
        Self { config, exporter, state: PerProcess::new(), closed: AtomicBool::new(false) }
    }

    fn state(&self) -> &Arc<State> {
        self.state.get_or_make(|| {
            Arc::new(State {
                queue: Queue::new(&self.config, self.closed.load(Ordering::Acquire)),
                counters: Counters::default(),
                wake: Notify::new(),
                started: AtomicBool::new(false),
                draining: watch::Sender::new(false),
                abandoned: watch::Sender::new(false),
            })
        })
    }

    /// Takes one span, framed by `otlp::span::Span::frame`. Never blocks: where there is no room the span is dropped
    /// and counted.
    pub fn push(&self, scope: &Arc<Scope>, framed: &[u8]) {
        let state = self.state();
        match state.queue.push(scope, framed) {
            Pushed::Waits => {}
            Pushed::First => self.start(state),
            Pushed::BatchReady => {
                self.start(state);
                state.wake.notify_one();
            }
            Pushed::Full => {
                let dropped = state.counters.queue_full();
                report(Level::Warning, Kind::QueueFull, self.exporter.source(), || {
                    let PipelineConfig { max_queue_size, max_queue_bytes, .. } = self.config;
                    format!(
                        "Queue full ({max_queue_size} spans or {max_queue_bytes} bytes), dropping spans: {dropped} so far"
                    )
                });
            }
            Pushed::Closed => {
                state.counters.after_shutdown();
                report(Level::Warning, Kind::AfterShutdown, self.exporter.source(), || {
                    "BatchSpanProcessor is already shut down, dropping spans".into()
                });
            }
        }
    }

    /// Starts the worker if it is not there. Without it spans wait in their bounds; the next batch tries again.
    fn start(&self, state: &Arc<State>) {
        if state.started.load(Ordering::Acquire) {
            return;
        }
        match runtime::handle() {
            Ok(handle) => {
                if !state.started.swap(true, Ordering::AcqRel) {
                    handle.spawn(worker::run(Arc::clone(state), self.config.clone(), Arc::clone(&self.exporter)));
                }
            }
            Err(error) => {
                report(Level::Error, Kind::NoThread, self.exporter.source(), || {
                    format!("The export thread can't be started, spans wait in the queue: {error}")
                });
            }
        }
    }

    /// Asks for everything taken so far to be exported now.
    pub fn start_flush(&self) -> Ticket {
        let state = self.state();
        let ticket = state.queue.request_flush();
        if !state.queue.is_empty() {
            self.start(state);
        }
        state.wake.notify_one();
        ticket
    }

    /// Takes no more spans, and asks for everything taken so far to be exported, each batch tried once.
    pub fn start_shutdown(&self) -> Ticket {
        self.closed.store(true, Ordering::Release);
        let state = self.state();
        state.queue.close();
        state.draining.send_replace(true);
        self.start_flush()
    }

    /// Waits until what the ticket stands for has been tried, or the time is up. Blocks this thread.
    pub fn wait(&self, ticket: Ticket, until: Instant) -> bool {
        self.state().queue.wait(ticket, until)
    }

    /// Gives up what is left after `start_shutdown`: it is counted as dropped, and an export under way is broken off.
    pub fn abandon(&self) {
        let state = self.state();
        let left = state.queue.clear();
        state.counters.given_up(left as u64);
        state.abandoned.send_replace(true);
    }

    pub fn is_shut_down(&self) -> bool {
        self.state().queue.is_closed()
    }

    pub fn counts(&self) -> Counts {
        let state = self.state();
        state.counters.read(state.queue.created())
    }

    pub fn processed(&self) -> Processed {
        let state = self.state();
        let (created, waiting) = state.queue.created_and_waiting();
        state.counters.processed(created, waiting)
    }
}

impl Drop for Pipeline {
    /// A processor that was forgotten rather than shut down still delivers what it took, as long as the process lives.
    fn drop(&mut self) {
        if let Some(state) = self.state.get() {
            state.queue.close();
            state.queue.request_flush();
            state.draining.send_replace(true);
            state.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
