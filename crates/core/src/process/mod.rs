//! The process: what a fork leaves behind, the thread that exports, and how a process ends.

pub(crate) mod deliveries;
mod descriptors;
pub(crate) mod exit;
pub(crate) mod fork;
mod published;
pub(crate) mod report;
pub(crate) mod runtime;
mod shared;
pub(crate) mod sync;
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
mod termination;

pub use deliveries::{begin_exit_of_all, finish_dropped};
pub use exit::{begin_exit, bound_by_exit, left_of_exit};
pub use fork::{PerProcess, generation, watch_forks};
pub use published::Published;
pub use report::{Level, Report, are_reports_waiting, take_reports};
pub use shared::Shared;
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub use termination::{flush_before_exit, flush_before_sigterm};
