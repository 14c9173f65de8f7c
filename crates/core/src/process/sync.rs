//! What the export threads and tasks meet on, named in one place: the models in `tests/model` are made of the same
//! sources, and have a model checker's here.

pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
pub use std::sync::{Condvar, Mutex, MutexGuard};

pub use tokio::select;
pub use tokio::sync::{Notify, watch};
pub use tokio::task::{JoinError, JoinSet};
pub use tokio::time::sleep;
