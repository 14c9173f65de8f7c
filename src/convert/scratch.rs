//! A buffer that each thread keeps for conversions.

use std::cell::Cell;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Room that a thread keeps for the next conversion.
const MAX_SCRATCH: usize = 64 * 1024;

/// Lends an empty buffer that is usually allocated already. Converting may run Python code that calls this again on
/// the same thread: that call gets a new one.
#[inline]
pub fn with_scratch<R>(use_it: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    // A thread that is ending has lost its buffer, but may still end a span.
    let mut buffer = SCRATCH.try_with(Cell::take).unwrap_or_default();
    buffer.clear();
    let result = use_it(&mut buffer);
    if buffer.capacity() <= MAX_SCRATCH {
        let _ = SCRATCH.try_with(|scratch| scratch.set(buffer));
    }
    result
}
