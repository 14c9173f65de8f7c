//! What threads and tasks meet on, those that export and those that measure, named in one place: the models in
//! `tests/model` are made of the same sources, and have a model checker's here.

pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
pub use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};

pub use tokio::select;
pub use tokio::sync::{Notify, watch};
pub use tokio::task::{JoinError, JoinSet};
pub use tokio::time::sleep;
