//! What answers the page: at once, or when there is something that it has not seen.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::json;
use super::store::Store;
use crate::decoding::Export;
use crate::question::{List, Question};

/// How long a question for something newer may wait for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many may wait; the others are answered at once.
const MAX_WAITING: usize = 64;

#[derive(Default)]
pub struct Kept {
    store: Store,
    waiting: Vec<Waiting>,
}

struct Waiting {
    list: List,
    reply: oneshot::Sender<String>,
    until: Instant,
}

impl Kept {
    pub fn take(&mut self, export: Export) {
        self.store.take(export);
        for waiting in std::mem::take(&mut self.waiting) {
            self.reply(&waiting.list, waiting.reply);
        }
    }

    pub fn ask(&mut self, question: Question, reply: oneshot::Sender<String>) {
        match question {
            Question::Trace(id) => {
                // Whoever has gone away needs no answer; so below.
                let _ = reply.send(json::trace(&self.store, &id));
            }
            Question::List { list, after: Some(after) }
                if after >= self.store.version && self.waiting.len() < MAX_WAITING =>
            {
                self.waiting.push(Waiting { list, reply, until: Instant::now() + PATIENCE });
            }
            Question::List { list, .. } => self.reply(&list, reply),
        }
    }

    fn reply(&self, list: &List, reply: oneshot::Sender<String>) {
        let _ = reply.send(json::list(&self.store, list));
    }

    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.until).min()
    }

    /// Answers those who have waited for long enough.
    pub fn answer_due(&mut self) {
        let now = Instant::now();
        let (due, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.until <= now);
        self.waiting = waiting;
        let due: Vec<Waiting> = due;
        for waiting in due {
            self.reply(&waiting.list, waiting.reply);
        }
    }
}
