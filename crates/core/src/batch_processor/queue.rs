//! Batches that wait for export, bounded by items and by bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::config::BatchProcessorConfig;
use crate::otlp::{Batch, Framed, OutOfMemory, Scope};
use crate::process::fork::generation;
use crate::process::sync::{Condvar, Mutex, MutexGuard};

/// Batches do not become smaller than this, however short a request the receiver refuses as too large. What it
/// refuses below that is split after the refusal.
const MIN_LEARNED_REQUEST_BYTES: usize = 64 * 1024;

/// What a flush waits for: all items taken before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    taken: u64,
    /// In a forked child there is nothing left to wait for.
    pub(super) generation: u64,
}

pub(super) struct Queue {
    max_items: usize,
    max_bytes: usize,
    batch_size: usize,
    inner: Mutex<Inner>,
    progress: Condvar,
}

#[derive(Default)]
struct Inner {
    /// Items go in here until it has `batch_size` of them, or as many bytes as a request may have.
    open: Batch,
    sealed: VecDeque<Batch>,
    max_request_bytes: usize,
    /// Items and bytes in `open` and `sealed`.
    items: usize,
    bytes: usize,
    /// Items offered, and taken. An item's number is how many were taken before it.
    created: u64,
    taken: u64,
    /// Batches handed out, in the order of their items, until all before them are done as well.
    handed_out: VecDeque<(End, bool)>,
    /// All items below this number are done.
    done: u64,
    closed: bool,
}

/// The number after a batch's last item. It names the batch: they follow one another without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End(u64);

pub(super) enum Pushed {
    Waits,
    /// The first of an open batch: the worker must run, if only for its timer.
    First,
    BatchReady,
    Full,
    NoMemory,
    Closed,
}

impl Queue {
    pub fn new(config: &BatchProcessorConfig, closed: bool) -> Self {
        Self {
            max_items: config.max_queue_size,
            max_bytes: config.max_queue_bytes,
            batch_size: config.max_export_batch_size,
            inner: Mutex::new(Inner { closed, max_request_bytes: config.max_request_bytes, ..Inner::default() }),
            progress: Condvar::new(),
        }
    }

    /// No code that could panic half-way runs under the lock, so a poisoned lock is still consistent.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|e| e.into_inner())
    }

    #[inline]
    pub fn push<I: Framed + ?Sized>(&self, scope: &Arc<Scope>, item: &I) -> Pushed {
        let framed_len = item.framed_len();
        let mut inner = self.lock();
        inner.created += 1;
        if inner.closed {
            return Pushed::Closed;
        }
        if inner.items >= self.max_items || inner.bytes + framed_len > self.max_bytes {
            return Pushed::Full;
        }
        let inner = &mut *inner;
        let Ok(fits) = inner.add(scope, item) else { return Pushed::NoMemory };
        inner.items += 1;
        inner.bytes += framed_len;
        inner.taken += 1;
        if !fits && inner.open.len() < self.batch_size {
            return Pushed::BatchReady;
        }
        match inner.open.len() {
            len if len >= self.batch_size => {
                inner.seal();
                Pushed::BatchReady
            }
            1 => Pushed::First,
            _ => Pushed::Waits,
        }
    }

    /// The next batch to export, and the name by which to report it as done; the open batch only if it is `due`,
    /// or at the end.
    pub fn next(&self, due: bool) -> Option<(Batch, End)> {
        let mut inner = self.lock();
        if inner.sealed.is_empty() && (due || inner.closed) {
            inner.seal();
        }
        let batch = inner.sealed.pop_front()?;
        inner.items -= batch.len();
        inner.bytes -= batch.bytes();
        let end = End(inner.taken - inner.items as u64);
        inner.handed_out.push_back((end, false));
        Some((batch, end))
    }

    /// A batch handed out by `next` is done, delivered or not. Batches may be done in any order.
    pub fn done(&self, end: End) {
        let mut inner = self.lock();
        if let Some((_, done)) = inner.handed_out.iter_mut().find(|(handed_out, _)| *handed_out == end) {
            *done = true;
        }
        inner.proceed();
        drop(inner);
        self.progress.notify_all();
    }

    /// Closes the open batch, so that later items neither delay the earlier ones nor are waited for.
    pub fn request_flush(&self) -> Ticket {
        let mut inner = self.lock();
        inner.seal();
        Ticket { taken: inner.taken, generation: generation() }
    }

    /// Makes later batches smaller than a request that the receiver refused for its length.
    pub fn learn_refused(&self, request_bytes: usize) {
        let learned = (request_bytes / 2).max(MIN_LEARNED_REQUEST_BYTES);
        let mut inner = self.lock();
        inner.max_request_bytes = inner.max_request_bytes.min(learned);
    }

    /// Blocks until all items of the ticket are done; false if the time is up before.
    pub fn wait(&self, ticket: Ticket, until: Instant) -> bool {
        let mut inner = self.lock();
        while inner.done < ticket.taken {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
            inner = self.progress.wait_timeout(inner, left).unwrap_or_else(|e| e.into_inner()).0;
        }
        true
    }

    pub fn is_done(&self, ticket: Ticket) -> bool {
        self.lock().done >= ticket.taken
    }

    pub fn close(&self) {
        self.lock().closed = true;
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Nothing waits to be handed out.
    pub fn is_empty(&self) -> bool {
        self.lock().items == 0
    }

    /// Nothing waits, and nothing is under way.
    pub fn is_all_done(&self) -> bool {
        let inner = self.lock();
        inner.done == inner.taken
    }

    /// Closed, and nothing left to hand out.
    pub fn is_finished(&self) -> bool {
        let inner = self.lock();
        inner.closed && inner.items == 0
    }

    /// Discards what waits, and returns how many items that was.
    pub fn clear(&self) -> usize {
        let mut inner = self.lock();
        let items = std::mem::take(&mut inner.items);
        inner.bytes = 0;
        let end = End(inner.taken);
        inner.handed_out.push_back((end, true));
        inner.proceed();
        let discarded = (std::mem::take(&mut inner.open), std::mem::take(&mut inner.sealed));
        drop(inner);
        drop(discarded);
        self.progress.notify_all();
        items
    }

    /// Counts an item that is not even offered.
    pub fn count_created(&self) {
        self.lock().created += 1;
    }

    pub fn created(&self) -> u64 {
        self.lock().created
    }

    /// Items offered, and those that wait to be handed out.
    pub fn created_and_waiting(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.created, inner.items as u64)
    }
}

impl Inner {
    /// Adds an item to the open batch; false if its request would become too long, so that the item starts another.
    #[inline]
    fn add<I: Framed + ?Sized>(&mut self, scope: &Arc<Scope>, item: &I) -> Result<bool, OutOfMemory> {
        match self.open.push_within(self.max_request_bytes, scope, item)? {
            true => Ok(true),
            false => self.start_another(scope, item).map(|()| false),
        }
    }

    #[cold]
    fn start_another<I: Framed + ?Sized>(&mut self, scope: &Arc<Scope>, item: &I) -> Result<(), OutOfMemory> {
        self.seal();
        self.open.push_within(usize::MAX, scope, item).map(drop)
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            let batch = self.open.take_leaving_room();
            self.sealed.push_back(batch);
        }
    }

    fn proceed(&mut self) {
        while let Some((End(end), true)) = self.handed_out.front() {
            self.done = *end;
            self.handed_out.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::otlp::Resource;

    fn queue(batch_size: usize, max_request_bytes: usize) -> Queue {
        let config = BatchProcessorConfig {
            max_queue_size: 1_000_000,
            schedule_delay: Duration::MAX,
            max_export_batch_size: batch_size,
            export_timeout: Duration::MAX,
            max_queue_bytes: usize::MAX,
            max_request_bytes,
            max_concurrent_exports: 1,
        };
        Queue::new(&config, false)
    }

    fn scope() -> Arc<Scope> {
        let resource = Arc::new(Resource { message: vec![], schema_url: String::new() });
        Arc::new(Scope { resource, message: vec![], schema_url: String::new() })
    }

    /// Takes a span of each length.
    fn push(queue: &Queue, scope: &Arc<Scope>, lengths: impl IntoIterator<Item = usize>) {
        for length in lengths {
            queue.push(scope, &vec![0; length][..]);
        }
    }

    /// A small generator of pseudo-random numbers (xorshift).
    fn random(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        }
    }

    #[test]
    fn a_flush_is_done_when_all_before_it_is_done_in_whatever_order() {
        let (queue, scope) = (queue(2, usize::MAX), scope());
        push(&queue, &scope, [5; 5]);
        let ticket = queue.request_flush();
        queue.push(&scope, &b"12345"[..]);
        let later = queue.request_flush();
        let ends: Vec<End> = std::iter::from_fn(|| queue.next(false)).map(|(_, end)| end).collect();
        assert_eq!(ends, [2, 4, 5, 6].map(End));
        for end in [ends[2], ends[0]] {
            queue.done(end);
            assert!(!queue.is_done(ticket));
        }
        queue.done(ends[1]);
        assert!(queue.is_done(ticket));
        assert!(!queue.is_done(later), "the last batch is under way");
        queue.done(ends[3]);
        assert!(queue.is_done(later));
    }

    #[test]
    fn a_flush_does_not_take_later_spans_along() {
        let (queue, scope) = (queue(100, usize::MAX), scope());
        queue.push(&scope, &b"1"[..]);
        queue.request_flush();
        queue.push(&scope, &b"2"[..]);
        assert_eq!(queue.next(false).map(|(batch, _)| batch.len()), Some(1));
        assert!(queue.next(false).is_none());
    }

    #[test]
    fn tickets_are_exact_however_batches_end() {
        for seed in 1..if cfg!(miri) { 3 } else { 200 } {
            let mut random = random(seed);
            let (queue, scope) = (queue(1 + random(7) as usize, 200 + random(2000) as usize), scope());
            let (mut under_way, mut tickets) = (Vec::new(), Vec::new());
            let (mut taken, mut done) = (0u64, Vec::new());
            for _ in 0..if cfg!(miri) { 60 } else { 300 } {
                match random(8) {
                    0..4 => {
                        push(&queue, &scope, [1 + random(900) as usize]);
                        taken += 1;
                        done.push(false);
                    }
                    4 => tickets.push((queue.request_flush(), taken as usize)),
                    5 if random(10) == 0 => {
                        let left = queue.clear();
                        let first = done.len() - left;
                        done[first..].fill(true);
                    }
                    5 | 6 => {
                        if let Some((batch, End(end))) = queue.next(random(3) == 0) {
                            under_way.push((end, batch.len() as u64));
                        }
                    }
                    _ if !under_way.is_empty() => {
                        let (end, len) = under_way.swap_remove(random(under_way.len() as u64) as usize);
                        queue.done(End(end));
                        done[(end - len) as usize..end as usize].fill(true);
                    }
                    _ => {}
                }
                for (ticket, spans) in &tickets {
                    let expected = done[..*spans].iter().all(|done| *done);
                    assert_eq!(queue.is_done(*ticket), expected, "seed {seed}");
                }
            }
            let inner = queue.lock();
            let sealed: usize = inner.sealed.iter().map(Batch::len).sum();
            assert_eq!(inner.items, sealed + inner.open.len());
            assert_eq!(inner.bytes, inner.sealed.iter().map(Batch::bytes).sum::<usize>() + inner.open.bytes());
        }
    }

    #[test]
    fn a_span_that_is_too_large_goes_alone() {
        let (queue, scope) = (queue(100, 500), scope());
        let sizes = [10, 20, 5000, 30, 40];
        push(&queue, &scope, sizes);
        queue.request_flush();
        let batches: Vec<usize> = std::iter::from_fn(|| queue.next(false)).map(|(batch, _)| batch.bytes()).collect();
        assert_eq!(batches, [30, 5000, 70]);
    }

    #[test]
    fn batches_become_smaller_than_what_was_refused() {
        let (queue, scope) = (queue(1000, 1 << 20), scope());
        queue.learn_refused(200 * 1024);
        push(&queue, &scope, [10 * 1024; 30]);
        assert_eq!(queue.next(false).map(|(batch, _)| batch.bytes()), Some(90 * 1024));
        queue.learn_refused(10);
        assert_eq!(queue.lock().max_request_bytes, MIN_LEARNED_REQUEST_BYTES);
        queue.learn_refused(1 << 20);
        assert_eq!(queue.lock().max_request_bytes, MIN_LEARNED_REQUEST_BYTES);
    }
}
