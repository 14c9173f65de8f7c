//! Notices that nobody reads the output any more, also while there is nothing to print.

use std::fs::File;
use std::future::pending;
use std::io;
use std::os::fd::AsFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Ready once the reader of a pipe, or the terminal, is gone. A file has no reader, and is never ready.
///
/// Needs a tokio runtime with I/O enabled.
pub async fn gone(out: impl AsFd) {
    match watch(out) {
        Ok(out) if out.ready(Interest::ERROR).await.is_ok() => {}
        _ => pending().await,
    }
}

#[allow(unsafe_code)]
fn watch(out: impl AsFd) -> io::Result<AsyncFd<File>> {
    let out = File::from(out.as_fd().try_clone_to_owned()?);
    // SAFETY: the file owns its descriptor, a duplicate that nobody else has; it moves into the `AsyncFd`, which stops
    // watching it before it closes it.
    unsafe { AsyncFd::register_with_interest(out, Interest::ERROR) }.map_err(io::Error::from)
}
