//! A child of `multiprocessing` that is terminated: what it recorded is exported before it dies.
//!
//! Pools end their workers with SIGTERM, which kills at once, also those that have just handed in their result. Where
//! nobody handles the signal, it is handled here: the pipeline thread drains the pipelines and then lets the signal do
//! what it would have done. The application's own threads go on meanwhile, at most for the given time.

use std::io;
use std::os::fd::IntoRawFd;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::unix::pipe;

use crate::fork::generation;
use crate::pipeline::drain_all;
use crate::runtime;

/// Where the handler writes, and the process it does so in: its children inherit both.
static TOLD_BY: AtomicI32 = AtomicI32::new(-1);
static ARMED_IN: AtomicU64 = AtomicU64::new(u64::MAX);

/// From now on SIGTERM waits for the pipelines, `timeout` at most. Does nothing where the signal is handled or ignored.
#[allow(unsafe_code)]
pub fn drain_before(timeout: Duration) -> io::Result<()> {
    // SAFETY: `sigaction` only fills the local variable, all of whose bit patterns are valid.
    let before = unsafe {
        let mut before = std::mem::zeroed::<libc::sigaction>();
        libc::sigaction(libc::SIGTERM, std::ptr::null(), &mut before);
        before
    };
    if before.sa_sigaction != libc::SIG_DFL {
        return Ok(());
    }
    let runtime::Running { handle, no_thread } = runtime::running()?;
    if let Some(error) = no_thread {
        return Err(error);
    }
    let (receiver, sender) = io::pipe()?;
    let receiver = {
        let _runtime = handle.enter();
        pipe::Receiver::from_owned_fd(receiver.into())?
    };
    TOLD_BY.store(sender.into_raw_fd(), Ordering::Relaxed);
    ARMED_IN.store(generation(), Ordering::Release);
    handle.spawn(async move {
        let _ = receiver.readable().await;
        drain_all(timeout).await;
        die();
    });
    // SAFETY: the handler does what a signal handler may (atomics, write, signal, raise) and lives as long as the
    // module, which is never unloaded. SA_RESTART: system calls of the application are not interrupted.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        action.sa_sigaction = tell as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        match libc::sigaction(libc::SIGTERM, &action, std::ptr::null_mut()) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[allow(unsafe_code)]
extern "C" fn tell(_signal: libc::c_int) {
    if ARMED_IN.load(Ordering::Acquire) != generation() {
        return die();
    }
    // SAFETY: `write` is async-signal-safe and reads one byte that lives long enough; errno is as before for whoever
    // was interrupted.
    unsafe {
        let errno = errno();
        let before = *errno;
        libc::write(TOLD_BY.load(Ordering::Relaxed), [0u8].as_ptr().cast(), 1);
        *errno = before;
    }
}

#[cfg(target_os = "linux")]
use libc::__errno_location as errno;
#[cfg(target_vendor = "apple")]
use libc::__error as errno;

/// The signal does what it does where nobody handles it.
#[allow(unsafe_code)]
fn die() {
    // SAFETY: all three are async-signal-safe and take plain numbers.
    unsafe {
        libc::signal(libc::SIGTERM, libc::SIG_DFL);
        libc::kill(libc::getpid(), libc::SIGTERM);
    }
}
