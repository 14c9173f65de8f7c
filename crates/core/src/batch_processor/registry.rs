//! The batch processors of this process that somebody has to wait for at its end.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::state::BatchProcessorState;
use crate::process::fork::PerProcess;

pub(super) type List<T> = PerProcess<Mutex<Vec<T>>>;

/// Pipelines that have a worker.
pub(super) static LIVE: List<Weak<BatchProcessorState>> = PerProcess::new();
/// Pipelines that were dropped before all that they took was exported.
pub(super) static DROPPED: List<Arc<BatchProcessorState>> = PerProcess::new();

pub(super) fn lock<T: Send>(list: &'static List<T>) -> MutexGuard<'static, Vec<T>> {
    list.get_or_make(Mutex::default).lock().unwrap_or_else(|e| e.into_inner())
}
