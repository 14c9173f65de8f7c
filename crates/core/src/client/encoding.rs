//! Where a request is encoded: on the runtime's thread, or apart from it.

use crate::process::runtime;

/// From this length on a request is compressed or made JSON apart from the runtime's thread: at tens of megabytes a
/// second it would keep other exports waiting.
const LONG_REQUEST_BYTES: usize = 64 * 1024;

/// Runs `encode` on a request of `length` bytes; `slow`: it compresses, or writes JSON.
pub(super) async fn run<T: Send + 'static>(
    length: usize,
    slow: bool,
    encode: impl Fn() -> T + Send + Sync + 'static,
) -> T {
    if slow && length >= LONG_REQUEST_BYTES { runtime::apart(encode).await } else { encode() }
}
