//! What is told about refused requests: a few lines with the remedy, however many requests there are.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::intake::Intake;
use crate::text::{clip, count};

const WINDOW: Duration = Duration::from_secs(30);
const MAX_LINES: usize = 8;
const MAX_LINE_CHARS: usize = 400;

#[derive(Clone)]
pub struct Complaints {
    intake: Intake,
    limiter: Arc<Mutex<Limiter>>,
}

impl Complaints {
    pub fn new(intake: Intake) -> Self {
        Self { intake, limiter: Arc::default() }
    }

    /// `line` may contain the words of a peer.
    pub fn tell(&self, line: &str) {
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let told =
            limiter.admit(&clip(line, MAX_LINE_CHARS), Instant::now()).is_some_and(|line| self.intake.tell(line));
        if !told {
            limiter.left_out += 1;
        }
    }

    /// How many were left out since the last line, if any.
    pub fn tell_rest(&self) {
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(note) = limiter.left_out_note() {
            self.intake.tell(note);
        }
    }
}

/// So many different lines in a window, each once.
#[derive(Default)]
struct Limiter {
    window_ends: Option<Instant>,
    told: Vec<String>,
    left_out: usize,
}

impl Limiter {
    /// The line as it is to be printed, if it is.
    fn admit(&mut self, line: &str, now: Instant) -> Option<String> {
        if self.window_ends.is_none_or(|end| end <= now) {
            self.window_ends = Some(now + WINDOW);
            self.told.clear();
        }
        if self.told.len() == MAX_LINES || self.told.iter().any(|told| told == line) {
            return None;
        }
        self.told.push(line.to_owned());
        let note = self.left_out_note().map_or_else(String::new, |note| format!(" ({note})"));
        Some(format!("{line}{note}"))
    }

    fn left_out_note(&mut self) -> Option<String> {
        let left_out = std::mem::take(&mut self.left_out);
        (left_out > 0).then(|| format!("{} like the last ones left out", count(left_out, "more line")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_then_a_count() {
        let mut limiter = Limiter::default();
        let now = Instant::now();
        let mut admit = |line: &str, now| {
            let admitted = limiter.admit(line, now);
            limiter.left_out += usize::from(admitted.is_none());
            admitted
        };
        assert_eq!(admit("same", now).as_deref(), Some("same"));
        let printed = (0..1000).filter_map(|_| admit("same", now)).count();
        assert_eq!(printed, 0);
        let printed: Vec<_> = (0..1000).filter_map(|i| admit(&i.to_string(), now)).collect();
        assert_eq!(printed.len(), MAX_LINES - 1);
        assert_eq!(printed[0], "0 (1000 more lines like the last ones left out)");
        assert_eq!(admit("same", now + WINDOW).as_deref(), Some("same (993 more lines like the last ones left out)"));
    }
}
