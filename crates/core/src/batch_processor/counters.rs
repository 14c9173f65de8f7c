//! Where every span or log record, here an item, went. At any time created = exported + rejected + failed + dropped +
//! pending.

use crate::export::counters::{Counters as ExportCounters, Exports};
use crate::process::sync::{AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct Counters {
    /// Of the items that were handed to the exporter.
    pub exports: ExportCounters,
    queue_full: AtomicU64,
    after_shutdown: AtomicU64,
    given_up: AtomicU64,
    no_memory: AtomicU64,
}

/// A reading of a batch processor's counters, in items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ended spans, or emitted log records, that reached the batch processor.
    pub created: u64,
    /// Accepted by the receiver.
    pub exported: u64,
    /// Delivered, and refused by the receiver (partial success).
    pub rejected: u64,
    /// Given up after an export failed.
    pub failed: u64,
    /// Never tried (no room, no memory, after shutdown, or left at its deadline), or refused alone for their size.
    pub dropped: u64,
    /// In the queue or in an export under way.
    pub pending: u64,
    /// Those of `pending` that are in an export under way.
    pub in_flight: u64,
}

/// What a processor's metrics show, in items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processed {
    /// Handed to the exporter.
    pub processed: u64,
    pub queue_full: u64,
    pub after_shutdown: u64,
    pub queue_size: u64,
}

impl Counters {
    /// Returns how many have been dropped for it by now.
    pub fn queue_full(&self) -> u64 {
        self.queue_full.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn after_shutdown(&self) {
        self.after_shutdown.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many have been dropped for it by now.
    pub fn no_memory(&self) -> u64 {
        self.no_memory.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn given_up(&self, items: u64) {
        self.given_up.fetch_add(items, Ordering::Relaxed);
    }

    fn dropped_unexported(&self) -> [u64; 4] {
        [&self.queue_full, &self.after_shutdown, &self.given_up, &self.no_memory]
            .map(|counter| counter.load(Ordering::Relaxed))
    }

    pub fn read(&self, created: u64) -> Counts {
        let Exports { exported, rejected, failed, dropped, in_flight, .. } = self.exports.read();
        let dropped = dropped + self.dropped_unexported().iter().sum::<u64>();
        let done = exported + rejected + failed + dropped;
        // The counters are read one after the other while items come: items counted after `created` was read are not
        // pending, and have been created too.
        let created = created.max(done);
        let pending = created - done;
        Counts { created, exported, rejected, failed, dropped, pending, in_flight: in_flight.min(pending) }
    }

    pub fn processed(&self, created: u64, queue_size: u64) -> Processed {
        let [queue_full, after_shutdown, given_up, no_memory] = self.dropped_unexported();
        let processed = created.saturating_sub(queue_size + queue_full + after_shutdown + given_up + no_memory);
        Processed { processed, queue_full, after_shutdown, queue_size }
    }
}
