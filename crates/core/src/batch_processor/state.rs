//! A batch processor's state in one process.

use std::sync::Arc;

use super::config::BatchProcessorConfig;
use super::counters::Counters;
use super::queue::Queue;
use crate::export::exporter::Exporter;
use crate::process::sync::{AtomicBool, Notify, watch};

/// What belongs to one process; a forked child makes its own and starts empty.
pub(super) struct BatchProcessorState {
    pub config: BatchProcessorConfig,
    pub exporter: Arc<Exporter>,
    pub queue: Queue,
    pub counters: Counters,
    pub wake: Notify,
    pub started: AtomicBool,
    /// Set by shutdown: try each batch once, without waiting to try again.
    pub draining: watch::Sender<bool>,
    /// Set when shutdown's deadline has passed: whatever is left is dropped.
    pub abandoned: watch::Sender<bool>,
}

impl BatchProcessorState {
    pub fn new(config: BatchProcessorConfig, exporter: Arc<Exporter>, closed: bool) -> Self {
        Self {
            queue: Queue::new(&config, closed),
            config,
            exporter,
            counters: Counters::default(),
            wake: Notify::new(),
            started: AtomicBool::new(false),
            draining: watch::Sender::new(false),
            abandoned: watch::Sender::new(false),
        }
    }

    /// Returns how many items never were in an export.
    pub fn abandon(&self) -> usize {
        let left = self.queue.clear();
        self.counters.given_up(left as u64);
        self.abandoned.send_replace(true);
        left
    }
}
