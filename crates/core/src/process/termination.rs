//! A process that ends in C, where no Python runs any more: what was recorded is still exported.
//!
//! Pools of `multiprocessing` end their workers with SIGTERM, which kills at once, also those that have just handed in
//! their result. uWSGI ends a worker that is within a request by `exit`, without Python's part of it. In both a byte in
//! a pipe tells the export thread to export what waits; the application's own threads go on meanwhile, or wait, at most
//! for the given time.

use std::io;
use std::os::fd::IntoRawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::unix::pipe;

use crate::process::deliveries::flush_all;
use crate::process::fork::generation;
use crate::process::runtime;

/// The pipe that wakes the export thread, and the process whose thread that is: forked children inherit both.
static TOLD_BY: AtomicI32 = AtomicI32::new(-1);
static LISTENS_IN: AtomicU64 = AtomicU64::new(u64::MAX);
static TIMEOUT_MILLIS: AtomicU64 = AtomicU64::new(0);

/// The commands.
const DIE_THEN: u8 = 0;
const GO_ON_THEN: u8 = 1;

/// The flush before `GO_ON_THEN` is done.
static FLUSHED: AtomicBool = AtomicBool::new(false);

/// From now on SIGTERM waits until everything is exported, `timeout` at most. Does nothing where the signal is handled or
/// ignored.
#[allow(unsafe_code)]
pub fn flush_before_sigterm(timeout: Duration) -> io::Result<()> {
    // SAFETY: `sigaction` only fills the local variable, all of whose bit patterns are valid.
    let before = unsafe {
        let mut before = std::mem::zeroed::<libc::sigaction>();
        libc::sigaction(libc::SIGTERM, std::ptr::null(), &mut before);
        before
    };
    if before.sa_sigaction != libc::SIG_DFL {
        return Ok(());
    }
    listen(timeout)?;
    // SAFETY: the handler does what a signal handler may (atomics, write, signal, kill) and lives as long as the
    // module, which is never unloaded. SA_RESTART: system calls of the application are not interrupted.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        action.sa_sigaction = on_sigterm as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        match libc::sigaction(libc::SIGTERM, &action, std::ptr::null_mut()) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// From now on C's `exit` waits until everything is exported, `timeout` at most.
#[allow(unsafe_code)]
pub fn flush_before_exit(timeout: Duration) -> io::Result<()> {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    listen(timeout)?;
    // A forked child inherits it.
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: the function lives as long as the module, which is never unloaded.
        unsafe { libc::atexit(on_exit) };
    }
    Ok(())
}

fn listen(timeout: Duration) -> io::Result<()> {
    TIMEOUT_MILLIS.store(timeout.as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    if LISTENS_IN.load(Ordering::Acquire) == generation() {
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
    FLUSHED.store(false, Ordering::Relaxed);
    LISTENS_IN.store(generation(), Ordering::Release);
    handle.spawn(async move {
        let mut told = [0];
        while receiver.readable().await.is_ok() {
            if receiver.try_read(&mut told).is_err() {
                continue;
            }
            flush_all(timeout).await;
            match told[0] {
                DIE_THEN => die(),
                _ => FLUSHED.store(true, Ordering::Release),
            }
        }
    });
    Ok(())
}

extern "C" fn on_sigterm(_signal: libc::c_int) {
    if !tell(DIE_THEN) {
        die();
    }
}

/// Runs in a signal's handler if `exit` was called there: no lock, no allocation.
#[allow(unsafe_code)]
extern "C" fn on_exit() {
    let until = Instant::now() + Duration::from_millis(TIMEOUT_MILLIS.load(Ordering::Relaxed).min(86_400_000));
    if !tell(GO_ON_THEN) {
        return;
    }
    while !FLUSHED.load(Ordering::Acquire) && Instant::now() < until {
        // SAFETY: takes a number.
        unsafe { libc::usleep(500) };
    }
}

/// False in a child of the process whose export thread listens.
#[allow(unsafe_code)]
fn tell(what: u8) -> bool {
    if LISTENS_IN.load(Ordering::Acquire) != generation() {
        return false;
    }
    // SAFETY: `write` is async-signal-safe and reads one byte that lives long enough; errno is as before for whoever
    // was interrupted.
    unsafe {
        let errno = errno();
        let before = *errno;
        libc::write(TOLD_BY.load(Ordering::Relaxed), [what].as_ptr().cast(), 1);
        *errno = before;
    }
    true
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
