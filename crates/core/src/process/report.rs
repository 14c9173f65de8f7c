//! Log lines from the export thread, kept until a thread that may call Python's `logging` takes them.
//!
//! The export thread never touches Python, so it cannot log; it leaves a line here. One line a kind a period: a
//! collector that is down for an hour costs sixty lines, not one a batch.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::process::fork::PerProcess;

/// How long a kind of report is silent after it was made.
const PERIOD: Duration = Duration::from_secs(60);
/// More than this many untaken reports are not kept.
const MAX_WAITING: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Warning,
    Error,
}

/// What a report is about. Two reports of one kind within a period become one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    ExportFailed,
    PartialSuccess,
    TooLarge,
    QueueFull,
    AfterShutdown,
    NoThread,
    NoMemory,
    TooManySeries,
}

/// Who reports. Failures of one destination must not silence those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    number: u64,
    exports_logs: bool,
}

impl Source {
    /// A source that no other equals.
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), exports_logs: false }
    }

    /// As `unique`; what it reports must not be exported as a log record again.
    pub fn of_log_export() -> Self {
        Self { exports_logs: true, ..Self::unique() }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    pub level: Level,
    /// Made by an export of log records.
    pub of_log_export: bool,
    pub message: String,
}

#[derive(Default)]
struct Reports {
    waiting: Vec<Report>,
    kinds: HashMap<(Kind, Source), Silence>,
}

struct Silence {
    since: Instant,
    suppressed: u64,
}

static REPORTS: PerProcess<Mutex<Reports>> = PerProcess::new();
static WAITING: AtomicBool = AtomicBool::new(false);

/// Leaves one line for `logging` and returns true, or counts it as suppressed. `message` is only made when it will be
/// used.
pub fn report(level: Level, kind: Kind, source: Source, message: impl FnOnce() -> String) -> bool {
    let mut reports = lock();
    let added = reports.add(Instant::now(), level, (kind, source), message);
    WAITING.store(!reports.waiting.is_empty(), Ordering::Relaxed);
    added
}

/// Leaves one line for `logging`, without a limit in time: for what follows a report, such as the end of an outage.
pub fn say(level: Level, source: Source, message: String) {
    let mut reports = lock();
    if reports.waiting.len() < MAX_WAITING {
        reports.waiting.push(Report { level, of_log_export: source.exports_logs, message });
    }
    WAITING.store(true, Ordering::Relaxed);
}

fn lock() -> MutexGuard<'static, Reports> {
    REPORTS.get_or_make(Mutex::default).lock().unwrap_or_else(|e| e.into_inner())
}

/// Whether `take` would return anything: one relaxed load.
#[inline]
pub fn are_reports_waiting() -> bool {
    WAITING.load(Ordering::Relaxed)
}

pub fn take_reports() -> Vec<Report> {
    WAITING.store(false, Ordering::Relaxed);
    std::mem::take(&mut lock().waiting)
}

impl Reports {
    fn add(&mut self, now: Instant, level: Level, kind: (Kind, Source), message: impl FnOnce() -> String) -> bool {
        if self.waiting.len() >= MAX_WAITING {
            return false;
        }
        let suppressed = match self.kinds.get_mut(&kind) {
            Some(silence) if now.duration_since(silence.since) < PERIOD => {
                silence.suppressed += 1;
                return false;
            }
            Some(silence) => silence.suppressed,
            None => 0,
        };
        self.kinds.insert(kind, Silence { since: now, suppressed: 0 });
        let mut message = message();
        if suppressed > 0 {
            message.push_str(&format!(" ({suppressed} more like this since the last line)"));
        }
        self.waiting.push(Report { level, of_log_export: kind.1.exports_logs, message });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_kind_a_period_with_a_count_of_the_rest() {
        let mut reports = Reports::default();
        let (start, one, other) = (Instant::now(), Source::unique(), Source::unique());
        for _ in 0..3 {
            reports.add(start, Level::Error, (Kind::ExportFailed, one), || "down".into());
        }
        reports.add(start, Level::Warning, (Kind::QueueFull, one), || "full".into());
        reports.add(start, Level::Error, (Kind::ExportFailed, other), || "other down".into());
        reports.add(start + PERIOD, Level::Error, (Kind::ExportFailed, one), || "down".into());
        let lines: Vec<_> = reports.waiting.iter().map(|r| r.message.as_str()).collect();
        assert_eq!(lines, ["down", "full", "other down", "down (2 more like this since the last line)"]);
    }
}
