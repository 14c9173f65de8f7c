//! Exporters that were shut down while requests were under way: at the end of the process these still count.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::export::counters::Counters;
use crate::process::exit::left_of_exit;
use crate::process::fork::PerProcess;
use crate::process::runtime;

/// Their counters, which tell what is in flight.
static ENDING: PerProcess<Mutex<Vec<Arc<Counters>>>> = PerProcess::new();

/// How long a request that ends at the deadline of the exit takes to be counted and reported.
pub(super) const SETTLING: Duration = Duration::from_millis(100);

/// How often `finish_requests` checks whether it is done.
const CHECK_INTERVAL: Duration = Duration::from_millis(2);

pub(super) fn add(counters: &Arc<Counters>) {
    let mut ending = lock();
    ending.push(Arc::clone(counters));
    ending.retain(is_under_way);
}

fn is_under_way(counters: &Arc<Counters>) -> bool {
    counters.read().in_flight > 0
}

/// At the end of the process: waits for requests of exporters that are shut down, which end at the deadline of the
/// exit. Blocks this thread.
pub fn finish_requests() {
    let Some(left) = left_of_exit() else { return };
    let until = Instant::now() + left + SETTLING;
    let ending = std::mem::take(&mut *lock());
    let is_done = || (!ending.iter().any(is_under_way)).then_some(());
    let wait = || {
        while is_done().is_none() && Instant::now() < until {
            std::thread::sleep(CHECK_INTERVAL);
        }
        Some(())
    };
    if is_done().is_none() {
        runtime::wait_for(until, wait, is_done);
    }
}

fn lock() -> MutexGuard<'static, Vec<Arc<Counters>>> {
    ENDING.get_or_make(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}
