//! What the end of this process waits for: whatever takes telemetry and delivers it later.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use crate::process::fork::PerProcess;
use crate::process::runtime::{self, Running};
use crate::process::sync::{AtomicBool, Ordering};

/// Of one process: a batch processor's or a metric reader's.
pub trait Delivery: Send + Sync {
    /// Begins to export what was taken so far, and waits for nothing.
    fn begin_exit(self: Arc<Self>);

    /// Exports what was taken so far, each request tried once. Called on the runtime's thread.
    fn flush(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Waits for what its owner, who forgot to shut it down, still had in it, and gives up the rest. Blocks this thread.
    fn finish(self: Arc<Self>, until: Instant);

    fn is_done(&self) -> bool;
}

type List<T> = PerProcess<Mutex<Vec<T>>>;

static LIVE: List<Weak<dyn Delivery>> = PerProcess::new();
/// Those whose owners are gone.
static DROPPED: List<Arc<dyn Delivery>> = PerProcess::new();

fn lock<T: Send>(list: &'static List<T>) -> MutexGuard<'static, Vec<T>> {
    list.get_or_make(Mutex::default).lock().unwrap_or_else(|e| e.into_inner())
}

fn live() -> Vec<Arc<dyn Delivery>> {
    lock(&LIVE).iter().filter_map(Weak::upgrade).collect()
}

/// Starts the delivery's worker if it is not there; from then on the end of the process waits for it. Why it has no thread,
/// if it has none: then it works while somebody waits for it, and the next call tries again.
pub fn start<D, Work>(delivery: &Arc<D>, started: &AtomicBool, worker: impl FnOnce(Arc<D>) -> Work) -> Option<io::Error>
where
    D: Delivery + 'static,
    Work: Future<Output = ()> + Send + 'static,
{
    if started.load(Ordering::Acquire) && !runtime::lacks_thread() {
        return None;
    }
    let Running { handle, no_thread } = match runtime::running() {
        Ok(running) => running,
        Err(error) => return Some(error),
    };
    if !started.swap(true, Ordering::AcqRel) {
        handle.spawn(worker(Arc::clone(delivery)));
        let delivery: Weak<D> = Arc::downgrade(delivery);
        add(delivery);
    }
    no_thread
}

fn add(delivery: Weak<dyn Delivery>) {
    let mut live = lock(&LIVE);
    live.retain(|delivery| delivery.strong_count() > 0);
    live.push(delivery);
}

/// Its owner is gone, without a shutdown.
pub fn add_dropped(delivery: Arc<dyn Delivery>) {
    let mut dropped = lock(&DROPPED);
    dropped.retain(|delivery| !delivery.is_done());
    if !delivery.is_done() {
        dropped.push(delivery);
    }
}

/// When the end of the process begins: has everything exported, so that nothing waits for the shutdown of another signal.
pub fn begin_exit_of_all() {
    live().into_iter().for_each(Delivery::begin_exit);
}

/// At the end of the process: waits for what was dropped, and gives up what is left at the deadline.
pub fn finish_dropped(until: Instant) {
    let dropped = std::mem::take(&mut *lock(&DROPPED));
    dropped.into_iter().for_each(|delivery| delivery.finish(until));
}

/// Exports everything, for no longer than the timeout. Called on the runtime's thread.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub async fn flush_all(timeout: std::time::Duration) {
    let mut flushes = tokio::task::JoinSet::new();
    for delivery in live() {
        flushes.spawn(delivery.flush());
    }
    let _ = tokio::time::timeout(timeout, async { while flushes.join_next().await.is_some() {} }).await;
}
