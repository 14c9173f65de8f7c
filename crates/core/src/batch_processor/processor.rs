//! The batch processor itself.

use std::sync::Arc;
use std::time::Instant;

use super::config::BatchProcessorConfig;
use super::counters::{Counts, Processed};
use super::queue::{Pushed, Ticket};
use super::state::BatchProcessorState;
use crate::export::exporter::Exporter;
use crate::otlp::{Framed, Scope};
use crate::process::deliveries;
use crate::process::fork::PerProcess;
use crate::process::report::{Kind, Level, report};
use crate::process::sync::{AtomicBool, Ordering};

/// Takes framed spans or log records from any thread and exports them on the runtime's thread.
pub struct BatchProcessor {
    config: BatchProcessorConfig,
    pub(super) exporter: Arc<Exporter>,
    state: PerProcess<Arc<BatchProcessorState>>,
    /// Outlives a fork: what was shut down before it stays so in the child.
    closed: AtomicBool,
}

impl BatchProcessor {
    pub fn new(config: BatchProcessorConfig, exporter: Arc<Exporter>) -> Self {
        Self { config, exporter, state: PerProcess::new(), closed: AtomicBool::new(false) }
    }

    fn state(&self) -> &Arc<BatchProcessorState> {
        self.state.get_or_make(|| {
            let closed = self.closed.load(Ordering::Acquire);
            Arc::new(BatchProcessorState::new(self.config.clone(), Arc::clone(&self.exporter), closed))
        })
    }

    /// Takes one item that is framed already. Never blocks: where there is no room the item is dropped and counted.
    pub fn push(&self, scope: &Arc<Scope>, framed: &[u8]) {
        self.push_item(scope, framed);
    }

    /// As `push`, of an item that is framed into its batch.
    #[inline]
    pub fn push_item<I: Framed + ?Sized>(&self, scope: &Arc<Scope>, item: &I) {
        let state = self.state();
        match state.queue.push(scope, item) {
            Pushed::Waits => {}
            pushed => self.follow_up(state, pushed),
        }
    }

    fn follow_up(&self, state: &Arc<BatchProcessorState>, pushed: Pushed) {
        match pushed {
            Pushed::Waits => {}
            Pushed::First => state.start(),
            Pushed::BatchReady => {
                state.start();
                state.wake.notify_one();
            }
            Pushed::Full => {
                let dropped = state.counters.queue_full();
                report(Level::Warning, Kind::QueueFull, self.exporter.source(), || {
                    let BatchProcessorConfig { max_queue_size, max_queue_bytes, .. } = self.config;
                    let items = self.exporter.noun();
                    format!(
                        "Queue full ({max_queue_size} {items} or {max_queue_bytes} bytes), dropping {items}: {dropped} \
                         so far"
                    )
                });
            }
            Pushed::NoMemory => self.drop_for_memory(),
            Pushed::Closed => {
                state.counters.after_shutdown();
                report(Level::Warning, Kind::AfterShutdown, self.exporter.source(), || {
                    format!("{} is already shut down, dropping {}", self.exporter.processor(), self.exporter.noun())
                });
            }
        }
    }

    /// Counts an item that there was no memory to frame.
    pub fn drop_unframed(&self) {
        self.state().queue.count_created();
        self.drop_for_memory();
    }

    /// Counts an item that comes after the shutdown, where a line about it would help nobody.
    pub fn drop_after_shutdown(&self) {
        self.state().queue.count_created();
        self.state().counters.after_shutdown();
    }

    #[cold]
    fn drop_for_memory(&self) {
        let dropped = self.state().counters.no_memory();
        report(Level::Warning, Kind::NoMemory, self.exporter.source(), || {
            format!("Not enough memory, dropping {}: {dropped} so far", self.exporter.noun())
        });
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

    /// Waits until all items of the ticket have been tried, or the time is up. Blocks this thread.
    pub fn wait(&self, ticket: Ticket, until: Instant) -> bool {
        self.state().wait(ticket, until)
    }

    /// Gives up what is left after `start_shutdown`: it is counted as dropped, and an export under way is cancelled.
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

impl Drop for BatchProcessor {
    /// A processor that is dropped without a shutdown still delivers what it took.
    fn drop(&mut self) {
        let Some(state) = self.state.get() else { return };
        state.start_shutdown();
        let state: Arc<BatchProcessorState> = Arc::clone(state);
        deliveries::add_dropped(state);
    }
}
