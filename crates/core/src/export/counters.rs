//! What became of the items (spans, log records, data points) that were given to an exporter.

use std::ops::Add;

use crate::process::sync::{AtomicU64, Ordering};

#[derive(Default)]
pub struct Counters {
    exported: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    in_flight: AtomicU64,
    bytes: AtomicU64,
}

/// A reading of the counters, in items but for `bytes`. Whatever is not in flight is in one of the first four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exports {
    /// Accepted by the receiver.
    pub exported: u64,
    /// Delivered, and refused by the receiver (partial success).
    pub rejected: u64,
    /// Given up after an export failed.
    pub failed: u64,
    /// Refused alone by the receiver for their size.
    pub dropped: u64,
    /// In an export under way.
    pub in_flight: u64,
    /// Requests as they were handed over: before compression, once whatever the number of attempts, and once more for
    /// the parts of one that the receiver found too large.
    pub bytes: u64,
}

impl Add for Exports {
    type Output = Exports;

    fn add(self, other: Exports) -> Exports {
        Exports {
            exported: self.exported + other.exported,
            rejected: self.rejected + other.rejected,
            failed: self.failed + other.failed,
            dropped: self.dropped + other.dropped,
            in_flight: self.in_flight + other.in_flight,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// How the export of items in flight ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Delivered { rejected: u64 },
    Failed,
    TooLarge,
}

impl Counters {
    pub fn request(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn settle(&self, items: u64, settled: Settled) {
        // Counted as settled before they leave `in_flight`, so that no reading misses them.
        match settled {
            Settled::Delivered { rejected } => {
                let rejected = rejected.min(items);
                self.exported.fetch_add(items - rejected, Ordering::Relaxed);
                self.rejected.fetch_add(rejected, Ordering::Relaxed);
            }
            Settled::Failed => {
                self.failed.fetch_add(items, Ordering::Relaxed);
            }
            Settled::TooLarge => {
                self.dropped.fetch_add(items, Ordering::Relaxed);
            }
        }
        self.in_flight.fetch_sub(items, Ordering::Relaxed);
    }

    pub fn read(&self) -> Exports {
        let [exported, rejected, failed, dropped, in_flight, bytes] =
            [&self.exported, &self.rejected, &self.failed, &self.dropped, &self.in_flight, &self.bytes]
                .map(|counter| counter.load(Ordering::Relaxed));
        Exports { exported, rejected, failed, dropped, in_flight, bytes }
    }
}

/// Items in an export under way. Those that are left when it is dropped (the export was cancelled, or panicked) have
/// failed.
pub struct InFlight<'a> {
    counters: [&'a Counters; 2],
    left: u64,
}

impl<'a> InFlight<'a> {
    pub fn new(counters: [&'a Counters; 2], items: u64) -> Self {
        for counters in counters {
            counters.in_flight.fetch_add(items, Ordering::Relaxed);
        }
        Self { counters, left: items }
    }

    pub fn left(&self) -> u64 {
        self.left
    }

    pub fn settle(&mut self, items: u64, settled: Settled) {
        let items = items.min(self.left);
        self.left -= items;
        self.counters.iter().for_each(|counters| counters.settle(items, settled));
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.settle(self.left, Settled::Failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_when_an_export_is_cancelled_has_failed() {
        let (one, other) = (Counters::default(), Counters::default());
        let mut in_flight = InFlight::new([&one, &other], 10);
        in_flight.settle(4, Settled::Delivered { rejected: 1 });
        in_flight.settle(1, Settled::TooLarge);
        assert_eq!(one.read(), Exports { exported: 3, rejected: 1, dropped: 1, in_flight: 5, ..Exports::default() });
        drop(in_flight);
        assert_eq!(other.read(), Exports { exported: 3, rejected: 1, dropped: 1, failed: 5, ..Exports::default() });
    }

    #[test]
    fn a_receiver_that_rejects_more_than_there_was_rejected_all() {
        let counters = Counters::default();
        let own = Counters::default();
        InFlight::new([&own, &counters], 3).settle(3, Settled::Delivered { rejected: 7 });
        assert_eq!(counters.read(), Exports { rejected: 3, ..Exports::default() });
    }
}
