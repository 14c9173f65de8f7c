//! The batch processors of this process whose exports its end waits for.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::state::BatchProcessorState;
use crate::process::fork::PerProcess;

pub(super) type List<T> = PerProcess<Mutex<Vec<T>>>;

/// Batch processors that have a worker.
pub(super) static LIVE: List<Weak<BatchProcessorState>> = PerProcess::new();
/// Batch processors that were dropped before everything they took was exported.
pub(super) static DROPPED: List<Arc<BatchProcessorState>> = PerProcess::new();

pub(super) fn lock<T: Send>(list: &'static List<T>) -> MutexGuard<'static, Vec<T>> {
    list.get_or_make(Mutex::default).lock().unwrap_or_else(|e| e.into_inner())
}
