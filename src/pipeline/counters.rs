//! Where every span went. At any time created = exported + rejected + failed + dropped + pending.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct Counters {
    exported: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// A reading of a pipeline's counters, in spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Ended spans that reached the pipeline.
    pub created: u64,
    /// Accepted by the receiver.
    pub exported: u64,
    /// Delivered, and refused by the receiver (partial success).
    pub rejected: u64,
    /// Given up after an export failed.
    pub failed: u64,
    /// Never tried: no room, or after shutdown.
    pub dropped: u64,
    /// In the queue or in an export under way.
    pub pending: u64,
}

impl Counters {
    pub fn exported(&self, spans: u64, rejected: u64) {
        let rejected = rejected.min(spans);
        self.exported.fetch_add(spans - rejected, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
    }

    pub fn failed(&self, spans: u64) {
        self.failed.fetch_add(spans, Ordering::Relaxed);
    }

    /// Returns how many have been dropped by now.
    pub fn dropped(&self, spans: u64) -> u64 {
        self.dropped.fetch_add(spans, Ordering::Relaxed) + spans
    }

    pub fn read(&self, created: u64) -> Counts {
        let [exported, rejected, failed, dropped] =
            [&self.exported, &self.rejected, &self.failed, &self.dropped].map(|c| c.load(Ordering::Relaxed));
        let done = exported + rejected + failed + dropped;
        // The counters are read one after the other while spans end: what was counted since `created` was read is not
        // pending, and has been created too.
        let created = created.max(done);
        Counts { created, exported, rejected, failed, dropped, pending: created - done }
    }
}
