//! The one tokio runtime: one thread that exports, never attaches to Python, and is made anew in a forked child.

use std::io;
use std::sync::Mutex;

use tokio::runtime::{Builder, Handle};

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
