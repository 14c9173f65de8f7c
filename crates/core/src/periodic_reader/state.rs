//! A reader's state in one process: its streams, and the rounds that were asked for.

use std::sync::Arc;
use std::time::Instant;

use super::collection::{Found, Registered};
use super::config::PeriodicReaderConfig;
use crate::export::exporter::Exporter;
use crate::process::fork::generation;
use crate::process::sync::{AtomicBool, Condvar, Mutex, MutexGuard, Notify, watch};

/// What belongs to one process; a forked child makes its own and is told its streams anew.
pub(super) struct ReaderState {
    pub config: PeriodicReaderConfig,
    pub exporter: Arc<Exporter>,
    streams: Mutex<Vec<Registered>>,
    rounds: Mutex<Rounds>,
    progress: Condvar,
    pub wake: Notify,
    pub started: AtomicBool,
    /// Set by the shutdown: try each request once, without waiting to try again.
    pub draining: watch::Sender<bool>,
    /// Set when the shutdown's deadline has passed: an export under way is broken off.
    pub abandoned: watch::Sender<bool>,
}

/// What a flush waits for: the round that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) number: u64,
    /// In a forked child there is nothing left to wait for.
    pub(super) generation: u64,
}

/// A round is a collection and its export.
#[derive(Default)]
struct Rounds {
    asked_for: u64,
    done: u64,
    /// What somebody else found, for the next round.
    found: Found,
    closed: bool,
}

/// The next round.
pub(super) struct Round {
    /// All that were asked for up to this one are done with it.
    pub number: u64,
    pub found: Found,
}

impl ReaderState {
    pub fn new(config: PeriodicReaderConfig, exporter: Arc<Exporter>, closed: bool) -> Self {
        Self {
            config,
            exporter,
            streams: Mutex::new(Vec::new()),
            rounds: Mutex::new(Rounds { closed, ..Rounds::default() }),
            progress: Condvar::new(),
            wake: Notify::new(),
            started: AtomicBool::new(false),
            draining: watch::Sender::new(false),
            abandoned: watch::Sender::new(false),
        }
    }

    /// No code that could panic half-way runs under the locks, so that what a poisoned one holds is consistent.
    pub fn streams(&self) -> MutexGuard<'_, Vec<Registered>> {
        self.streams.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Asks for a round, in which goes what somebody else `found`; False if there is nothing to collect.
    pub fn add_round(&self, found: Found) -> bool {
        // A process that measures nothing needs no thread.
        let has_something = !found.scopes.is_empty() || self.streams().iter().any(|(_, stream)| stream.has_series());
        let mut rounds = self.rounds();
        if !has_something || rounds.closed {
            return false;
        }
        rounds.asked_for += 1;
        rounds.found.add(found);
        true
    }

    /// The ticket of the round that was asked for last.
    pub fn last(&self) -> Ticket {
        Ticket { number: self.rounds().asked_for, generation: generation() }
    }

    /// The round that was asked for, or that is `due`; None if there is none to make.
    pub fn next(&self, due: bool) -> Option<Round> {
        let mut rounds = self.rounds();
        if due && !rounds.closed && rounds.asked_for == rounds.done {
            rounds.asked_for += 1;
        }
        let number = rounds.asked_for;
        (number > rounds.done).then(|| Round { number, found: std::mem::take(&mut rounds.found) })
    }

    pub fn done(&self, number: u64) {
        self.rounds().done = number;
        self.progress.notify_all();
    }

    pub fn wait_for_round(&self, number: u64, until: Instant) -> bool {
        let mut rounds = self.rounds();
        while rounds.done < number {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
            rounds = self.progress.wait_timeout(rounds, left).unwrap_or_else(|e| e.into_inner()).0;
        }
        true
    }

    pub fn is_round_done(&self, number: u64) -> bool {
        self.rounds().done >= number
    }

    pub fn are_all_rounds_done(&self) -> bool {
        let rounds = self.rounds();
        rounds.done == rounds.asked_for
    }

    /// No round is due any more; those that were asked for are made.
    pub fn close(&self) {
        self.rounds().closed = true;
        self.draining.send_replace(true);
        self.wake.notify_one();
    }

    pub fn is_closed(&self) -> bool {
        self.rounds().closed
    }
}
