//! The one tokio runtime: one thread that exports, never attaches to Python, and is made anew in a forked child.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::process::descriptors;
use crate::process::fork::PerProcess;

static RUNTIME: PerProcess<Mutex<Option<Started>>> = PerProcess::new();

/// Whether the runtime of this process, or of the one it was forked from, is there without its thread.
static LACKS_THREAD: AtomicBool = AtomicBool::new(false);

/// How often a thread that drives the runtime itself checks for its outcome.
const OUTCOME_CHECK_INTERVAL: Duration = Duration::from_millis(2);

struct Started {
    runtime: Arc<Runtime>,
    has_thread: bool,
}

/// The runtime of this process.
pub struct Running {
    pub handle: Handle,
    /// Why it has no thread of its own. Its tasks then run only while somebody waits for one of them.
    pub no_thread: Option<io::Error>,
}

/// The runtime of this process, made at the first call.
///
/// Fails if it cannot be made, for want of file descriptors. Where that fails, or no thread can be started for it, the
/// next call tries again.
pub fn running() -> io::Result<Running> {
    let mut slot = slot();
    let started = match &mut *slot {
        Some(started) => started,
        slot => slot.insert(Started {
            runtime: Arc::new(Builder::new_current_thread().enable_all().build()?),
            has_thread: false,
        }),
    };
    let no_thread = match started.has_thread {
        true => None,
        false => start_thread(&started.runtime).err(),
    };
    started.has_thread = no_thread.is_none();
    LACKS_THREAD.store(!started.has_thread, Ordering::Relaxed);
    Ok(Running { handle: started.runtime.handle().clone(), no_thread })
}

/// Whether `running` is worth another call.
#[inline]
pub fn lacks_thread() -> bool {
    LACKS_THREAD.load(Ordering::Relaxed)
}

/// Blocks this thread until there is an outcome or the time is up: by `wait`, while the runtime's thread does the work.
/// Without such a thread this one does the work, and checks for the `outcome` in between.
pub fn wait_for<T>(until: Instant, wait: impl FnOnce() -> Option<T>, outcome: impl Fn() -> Option<T>) -> Option<T> {
    let Some(runtime) = without_thread() else { return wait() };
    runtime.block_on(async {
        loop {
            match outcome() {
                None if Instant::now() < until => sleep(OUTCOME_CHECK_INTERVAL).await,
                outcome => return outcome,
            }
        }
    })
}

fn without_thread() -> Option<Arc<Runtime>> {
    if !lacks_thread() {
        return None;
    }
    slot().as_ref().filter(|started| !started.has_thread).map(|started| Arc::clone(&started.runtime))
}

fn slot() -> MutexGuard<'static, Option<Started>> {
    RUNTIME.get_or_make(Mutex::default).lock().unwrap_or_else(|e| e.into_inner())
}

fn start_thread(runtime: &Arc<Runtime>) -> io::Result<()> {
    let runtime = Arc::clone(runtime);
    let _blocked = BlockedSignals::new();
    std::thread::Builder::new()
        .name("otel-rs-export".into())
        // The thread lives as long as the process; nothing joins it, so nothing can hang on it.
        .spawn(move || {
            descriptors::learn(&runtime);
            runtime.block_on(std::future::pending::<()>());
        })?;
    Ok(())
}

/// Does long work without blocking the runtime's thread: on a thread that ends with the work, or here
/// if none can be started.
///
/// Called on the runtime's thread, whose blocked signals the new one inherits.
pub async fn apart<T: Send + 'static>(work: impl Fn() -> T + Send + Sync + 'static) -> T {
    let work = Arc::new(work);
    let (sender, receiver) = oneshot::channel();
    let theirs = Arc::clone(&work);
    let thread = std::thread::Builder::new().name("otel-rs-encode".into());
    let _ = thread.spawn(move || drop(sender.send(theirs())));
    // No answer: no thread could be started, or it panicked, and so will this call.
    receiver.await.unwrap_or_else(|_| work())
}

/// Blocks all signals on this thread while it is alive, so that a thread started meanwhile inherits the block.
///
/// A signal that the kernel delivers to the export thread would not interrupt the main thread's system call, and
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
        // SAFETY: `before` was filled by pthread_sigmask in `new`, on this thread (the type holds no handle to
        // another).
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
