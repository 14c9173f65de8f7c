//! The one tokio runtime: one thread that exports, never attaches to Python, and is made anew in a forked child.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::fork::PerProcess;

static RUNTIME: PerProcess<Mutex<Option<Handle>>> = PerProcess::new();

/// The runtime of this process, its thread started at the first call.
///
/// Fails if no thread can be started; the next call tries again.
pub fn handle() -> io::Result<Handle> {
    let mut slot = RUNTIME.get_or_make(Mutex::default).lock().unwrap_or_else(|e| e.into_inner());
    if let Some(handle) = &*slot {
        return Ok(handle.clone());
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let _blocked = BlockedSignals::new();
    std::thread::Builder::new()
        .name("otel-rs-pipeline".into())
        // The thread lives as long as the process; nothing joins it, so nothing can hang on it.
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    *slot = Some(handle.clone());
    Ok(handle)
}

/// Does what takes long without keeping the runtime's thread from other exports: on a thread that ends with it, or here
/// if none can be started.
///
/// Called on the runtime's thread, whose blocked signals the new one inherits.
pub async fn apart<T: Send + 'static>(work: impl Fn() -> T + Send + Sync + 'static) -> T {
    let work = Arc::new(work);
    let (sender, receiver) = oneshot::channel();
    let theirs = Arc::clone(&work);
    let thread = std::thread::Builder::new().name("otel-rs-encode".into());
    let _ = thread.spawn(move || drop(sender.send(theirs())));
    // No answer: there is no thread, or it panicked, and so will this.
    receiver.await.unwrap_or_else(|_| work())
}

/// Blocks all signals on this thread while it is alive, so that a thread started meanwhile inherits the block.
///
/// A signal that the kernel gave to the pipeline thread would not interrupt the main thread's system call, and
/// Python's handler, which runs on the main thread, would come late.
struct BlockedSignals {
    #[cfg(unix)]
    before: libc::sigset_t,
}

#[cfg(unix)]
#[allow(unsafe_code)]
impl BlockedSignals {
    fn new() -> Self {
        // SAFETY: both sets are local, initialised by sigfillset and pthread_sigmask before they are read.
        unsafe {
            let mut all = std::mem::zeroed();
            let mut before = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            Self { before }
        }
    }
}

#[cfg(unix)]
#[allow(unsafe_code)]
impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: `before` was filled by pthread_sigmask in `new`, on this thread (the type holds no handle to another).
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut());
        }
    }
}

#[cfg(not(unix))]
impl BlockedSignals {
    fn new() -> Self {
        Self {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_that_is_done_apart_keeps_nobody_waiting() {
        let (start, started) = std::sync::mpsc::channel::<()>();
        let started = Mutex::new(started);
        let work = tokio::spawn(apart(move || started.lock().unwrap().recv_timeout(Duration::from_secs(20)).is_ok()));
        tokio::task::yield_now().await;
        start.send(()).unwrap();
        assert!(work.await.unwrap(), "this task ran while the work was under way");
    }

    #[tokio::test]
    async fn a_panic_comes_back_to_the_one_who_waits() {
        let work = tokio::spawn(apart(|| panic!("on purpose")));
        assert!(work.await.unwrap_err().is_panic());
    }
}
