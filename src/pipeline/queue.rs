//! Batches that wait for export, bounded by spans and by bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use super::{PipelineConfig, Ticket};
use crate::otlp::batch::{Batch, Scope};

pub(super) struct Queue {
    max_spans: usize,
    max_bytes: usize,
    batch_size: usize,
    inner: Mutex<Inner>,
    progress: Condvar,
}

#[derive(Default)]
struct Inner {
    /// Spans go in here until it has `batch_size` of them.
    open: Batch,
    sealed: VecDeque<Batch>,
    /// Spans and bytes in `open` and `sealed`.
    spans: usize,
    bytes: usize,
    /// Spans offered, taken, and done with (in the order they were taken).
    created: u64,
    taken: u64,
    done: u64,
    flush_to: u64,
    closed: bool,
}

pub(super) enum Pushed {
    Waits,
    /// The first of an open batch: the worker has to be there, if only for its timer.
    First,
    BatchReady,
    Full,
    Closed,
}

impl Queue {
    pub fn new(config: &PipelineConfig, closed: bool) -> Self {
        Self {
            max_spans: config.max_queue_size,
            max_bytes: config.max_queue_bytes,
            batch_size: config.max_export_batch_size,
            inner: Mutex::new(Inner { closed, ..Inner::default() }),
            progress: Condvar::new(),
        }
    }

    /// No code that could panic half-way runs under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub fn push(&self, scope: &Arc<Scope>, framed: &[u8]) -> Pushed {
        let mut inner = self.lock();
        inner.created += 1;
        if inner.closed {
            return Pushed::Closed;
        }
        if inner.spans >= self.max_spans || inner.bytes + framed.len() > self.max_bytes {
            return Pushed::Full;
        }
        inner.open.push(scope, framed);
        inner.spans += 1;
        inner.bytes += framed.len();
        inner.taken += 1;
        match inner.open.len() {
            len if len >= self.batch_size => {
                let batch = inner.open.take_leaving_room();
                inner.sealed.push_back(batch);
                Pushed::BatchReady
            }
            1 => Pushed::First,
            _ => Pushed::Waits,
        }
    }

    /// The next batch to export; the open one only if it is `due`, or a flush or the end asks for it.
    pub fn next(&self, due: bool) -> Option<Batch> {
        let mut inner = self.lock();
        let batch = match inner.sealed.pop_front() {
            Some(batch) => batch,
            None if inner.open.is_empty() => return None,
            None if due || inner.closed || inner.flush_to > inner.done => inner.open.take_leaving_room(),
            None => return None,
        };
        inner.spans -= batch.len();
        inner.bytes -= batch.bytes();
        Some(batch)
    }

    /// Says that the batches handed out by `next` came to an end, well or not.
    pub fn done(&self, spans: u64) {
        self.lock().done += spans;
        self.progress.notify_all();
    }

    pub fn request_flush(&self) -> Ticket {
        let mut inner = self.lock();
        inner.flush_to = inner.taken;
        Ticket(inner.taken)
    }

    /// Blocks until all spans of the ticket are done with; false if the time is up before.
    pub fn wait(&self, ticket: Ticket, until: Instant) -> bool {
        let mut inner = self.lock();
        while inner.done < ticket.0 {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
            inner = self.progress.wait_timeout(inner, left).unwrap_or_else(|e| e.into_inner()).0;
        }
        true
    }

    pub fn close(&self) {
        self.lock().closed = true;
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Nothing waits to be handed out.
    pub fn is_empty(&self) -> bool {
        self.lock().spans == 0
    }

    /// Closed, and nothing left to hand out.
    pub fn is_finished(&self) -> bool {
        let inner = self.lock();
        inner.closed && inner.spans == 0
    }

    /// Throws away what waits, and says how many spans that was.
    pub fn clear(&self) -> usize {
        let mut inner = self.lock();
        let spans = std::mem::take(&mut inner.spans);
        inner.bytes = 0;
        inner.done += spans as u64;
        let discarded = (std::mem::take(&mut inner.open), std::mem::take(&mut inner.sealed));
        drop(inner);
        drop(discarded);
        self.progress.notify_all();
        spans
    }

    pub fn created(&self) -> u64 {
        self.lock().created
    }
}
