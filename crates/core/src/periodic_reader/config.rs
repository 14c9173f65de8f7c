//! How often a reader exports, and what a request may be.

use std::sync::Arc;
use std::time::Duration;

use crate::process::sync::{AtomicBool, Ordering};

#[derive(Clone)]
pub struct PeriodicReaderConfig {
    /// Between a round and the next one; None makes those alone that somebody asks for.
    pub interval: Option<Duration>,
    pub export_timeout: Duration,
    /// Of one request.
    pub max_data_points: Option<usize>,
    pub max_request_bytes: Option<usize>,
    ticks_elsewhere: Arc<AtomicBool>,
}

impl PeriodicReaderConfig {
    pub fn new(
        interval: Option<Duration>,
        export_timeout: Duration,
        max_data_points: Option<usize>,
        max_request_bytes: Option<usize>,
    ) -> Self {
        Self { interval, export_timeout, max_data_points, max_request_bytes, ticks_elsewhere: Arc::default() }
    }

    /// From now on, or not any more, somebody else asks for a round at each interval.
    pub(super) fn tick_elsewhere(&self, elsewhere: bool) {
        self.ticks_elsewhere.store(elsewhere, Ordering::Relaxed);
    }

    pub(super) fn ticks_elsewhere(&self) -> bool {
        self.ticks_elsewhere.load(Ordering::Relaxed)
    }
}
