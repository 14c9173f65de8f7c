//! Waiting in native code for something that Python's signal handlers must not wait for.

use std::time::Duration;

/// How long a wait goes on before it lets pending signal handlers run.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(50);
