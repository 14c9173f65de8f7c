//! From an ended span to an export: bounded batches, a worker, exact counts. Nothing here knows Python, so nothing
//! here can take the GIL.

mod counters;
mod queue;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

#[cfg(unix)]
use tokio::time::sleep;

pub use counters::{Counts, Processed};

use crate::fork::{PerProcess, generation};
use crate::otlp::batch::Scope;
use crate::otlp::exporter::Exporter;
use crate::report::{Kind, Level, report};
use crate::runtime::{self, Running};
use crate::sync::{AtomicBool, Notify, Ordering, watch};
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
    config: PipelineConfig,
    exporter: Arc<Exporter>,
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
pub struct Ticket {
    taken: u64,
    /// In a forked child there is nothing left to wait for.
    generation: u64,
}

impl Pipeline {
    pub fn new(config: PipelineConfig, exporter: Arc<Exporter>) -> Self {
        Self { config, exporter, state: PerProcess::new(), closed: AtomicBool::new(false) }
    }

    fn state(&self) -> &Arc<State> {
        self.state.get_or_make(|| {
            Arc::new(State {
                config: self.config.clone(),
                exporter: Arc::clone(&self.exporter),
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
            Pushed::First => state.start(),
            Pushed::BatchReady => {
                state.start();
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

    /// Asks for everything taken so far to be exported now.
    pub fn start_flush(&self) -> Ticket {
        self.state().start_flush()
    }

    /// Takes no more spans, and asks for everything taken so far to be exported, each batch tried once.
    pub fn start_shutdown(&self) -> Ticket {
        self.closed.store(true, Ordering::Release);
        self.state().start_shutdown()
    }

    /// Waits until what the ticket stands for has been tried, or the time is up. Blocks this thread.
    pub fn wait(&self, ticket: Ticket, until: Instant) -> bool {
        self.state().wait(ticket, until)
    }

    /// Gives up what is left after `start_shutdown`: it is counted as dropped, and an export under way is broken off.
    pub fn abandon(&self) {
        self.state().abandon();
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

impl State {
    /// Starts the worker if it is not there. Without it, or a thread for it, spans wait in their bounds; the next batch
    /// tries again.
    fn start(self: &Arc<Self>) {
        if self.started.load(Ordering::Acquire) && !runtime::lacks_thread() {
            return;
        }
        let problem = match runtime::running() {
            Ok(Running { handle, no_thread }) => {
                if !self.started.swap(true, Ordering::AcqRel) {
                    handle.spawn(worker::run(Arc::clone(self)));
                    let mut live = lock(&LIVE);
                    live.retain(|state| state.strong_count() > 0);
                    live.push(Arc::downgrade(self));
                }
                no_thread
            }
            Err(error) => Some(error),
        };
        if let Some(error) = problem {
            report(Level::Error, Kind::NoThread, self.exporter.source(), || {
                format!("The export thread can't be started, spans wait in the queue for a flush: {error}")
            });
        }
    }

    fn start_flush(self: &Arc<Self>) -> Ticket {
        let ticket = self.queue.request_flush();
        if !self.queue.is_empty() {
            self.start();
        }
        self.wake.notify_one();
        ticket
    }

    fn start_shutdown(self: &Arc<Self>) -> Ticket {
        self.queue.close();
        self.draining.send_replace(true);
        self.start_flush()
    }

    fn wait(self: &Arc<Self>, ticket: Ticket, until: Instant) -> bool {
        if ticket.generation != generation() {
            return true;
        }
        if !self.started.load(Ordering::Acquire) && !self.queue.is_empty() {
            self.start();
        }
        let is_done = || self.queue.is_done(ticket).then_some(());
        runtime::wait_for(until, || self.queue.wait(ticket, until).then_some(()), is_done).is_some()
    }

    /// Returns how many spans never were in an export.
    fn abandon(&self) -> usize {
        let left = self.queue.clear();
        self.counters.given_up(left as u64);
        self.abandoned.send_replace(true);
        left
    }
}

type List<T> = PerProcess<Mutex<Vec<T>>>;

/// Pipelines that have a worker.
static LIVE: List<Weak<State>> = PerProcess::new();
/// Pipelines that were dropped before all that they took was exported.
static DROPPED: List<Arc<State>> = PerProcess::new();

fn lock<T: Send>(list: &'static List<T>) -> MutexGuard<'static, Vec<T>> {
    list.get_or_make(Mutex::default).lock().unwrap_or_else(|e| e.into_inner())
}

impl Drop for Pipeline {
    /// A processor that was forgotten rather than shut down still delivers what it took.
    fn drop(&mut self) {
        let Some(state) = self.state.get() else { return };
        state.start_shutdown();
        let mut dropped = lock(&DROPPED);
        dropped.retain(|state| !state.queue.is_all_done());
        if !state.queue.is_all_done() {
            dropped.push(Arc::clone(state));
        }
    }
}

/// At the end of the process: waits for what dropped pipelines still export, and gives up what is left at the deadline.
pub fn finish_dropped(until: Instant) {
    let dropped = std::mem::take(&mut *lock(&DROPPED));
    for state in dropped {
        let ticket = state.start_shutdown();
        if !state.wait(ticket, until) {
            let left = state.abandon();
            report(Level::Warning, Kind::AfterShutdown, state.exporter.source(), || {
                format!("{left} spans of a processor that was forgotten, not shut down, could not be exported in time")
            });
        }
    }
}

/// Exports, from the runtime's own thread, what every pipeline has taken so far, each batch tried once.
#[cfg(unix)]
pub async fn flush_all(timeout: Duration) {
    let states: Vec<_> = lock(&LIVE).iter().filter_map(Weak::upgrade).collect();
    let flush = |state: Arc<State>| {
        state.draining.send_replace(true);
        let ticket = state.start_flush();
        (state, ticket)
    };
    let flushed: Vec<_> = states.into_iter().map(flush).collect();
    let _ = tokio::time::timeout(timeout, async {
        while !flushed.iter().all(|(state, ticket)| state.queue.is_done(*ticket)) {
            sleep(LOOK_INTERVAL).await;
        }
    })
    .await;
}

/// How often `flush_all` looks whether it is done.
#[cfg(unix)]
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests;
