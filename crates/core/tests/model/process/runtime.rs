//! `src/runtime.rs` for the models: tasks of the checker.

use std::future::Future;
use std::io;
use std::time::Instant;

use shuttle::future::{block_on, spawn};
use shuttle::sync::Mutex;

shuttle::lazy_static! {
    static ref TASKS: Mutex<Vec<shuttle::future::JoinHandle<()>>> = Mutex::new(Vec::new());
}

pub struct Handle;

pub struct Running {
    pub handle: Handle,
    pub no_thread: Option<io::Error>,
}

pub fn running() -> io::Result<Running> {
    Ok(Running { handle: Handle, no_thread: None })
}

pub fn lacks_thread() -> bool {
    false
}

pub fn wait_for<T>(_: Instant, wait: impl FnOnce() -> Option<T>, _: impl Fn() -> Option<T>) -> Option<T> {
    wait()
}

impl Handle {
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        TASKS.lock().unwrap().push(spawn(task));
    }
}

/// How many tasks were spawned, all of which have come to their end.
pub fn join_all() -> usize {
    let tasks = std::mem::take(&mut *TASKS.lock().unwrap());
    tasks.into_iter().map(|task| block_on(task).expect("no task is cancelled")).count()
}
