//! How long an export may take, without the time in which the process was stopped.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

/// How often a waiting task checks the clock.
const CLOCK_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// A task that checks again only after this time stood still: its process was stopped, or its machine suspended.
const STOOD_STILL: Duration = Duration::from_millis(750);

/// How often other tasks may still run before the wait ends, since an answer passes through several: the connection's,
/// the call's and those between them.
const LAST_TURNS: usize = 8;

/// Replaces a timeout that is too long to be added to the clock.
const FAR_AWAY: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The end of an export's time. It moves when the process was stopped. Peers went on meanwhile, so what they did
/// meanwhile, an answer or a closed connection, is there when the process continues, and so is a timer that
/// has run out.
pub(crate) struct Deadline(Mutex<Times>);

struct Times {
    at: Instant,
    looked: Instant,
}

impl Deadline {
    pub fn after(timeout: Duration) -> Deadline {
        let now = Instant::now();
        let at = now.checked_add(timeout).unwrap_or(now + FAR_AWAY);
        Deadline(Mutex::new(Times { at, looked: now }))
    }

    /// The time that is left. Must be called regularly while the process runs, as `limit` does.
    pub fn left(&self) -> Duration {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let unseen = now.saturating_duration_since(times.looked);
        if unseen >= STOOD_STILL {
            times.at += unseen;
        }
        times.looked = now;
        times.at.saturating_duration_since(now)
    }

    /// The output of `future`, or None if the time is up first. An answer that has arrived by then counts, though no
    /// task has seen it yet.
    pub async fn limit<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        loop {
            let left = self.left();
            if left.is_zero() {
                break;
            }
            if let Ok(output) = timeout(left.min(CLOCK_CHECK_INTERVAL), &mut future).await {
                // The process may have been stopped before.
                self.left();
                return Some(output);
            }
        }
        for _ in 0..LAST_TURNS {
            tokio::select! {
                biased;
                output = &mut future => return Some(output),
                () = yield_now() => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::thread;

    use tokio::sync::oneshot;
    use tokio::time::sleep;

    use super::*;

    /// Does what a stopped process does, or a suspended machine.
    fn stand_still() {
        thread::sleep(STOOD_STILL + Duration::from_millis(250));
    }

    #[tokio::test]
    async fn it_is_kept_to_the_millisecond() {
        for millis in [0, 1, 20, 300, 600] {
            let timeout = Duration::from_millis(millis);
            let mut late = Vec::new();
            for _ in 0..3 {
                let started = Instant::now();
                assert!(Deadline::after(timeout).limit(pending::<()>()).await.is_none());
                late.push(started.elapsed().checked_sub(timeout).expect("not before its time"));
            }
            // The system may keep this thread from running at one time, not at all of them.
            assert!(late.iter().any(|late| *late < Duration::from_millis(10)), "{millis}: {late:?}");
        }
    }

    #[tokio::test]
    async fn a_standstill_does_not_count() {
        let deadline = Deadline::after(Duration::from_millis(500));
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async {
            stand_still();
            sleep(Duration::from_millis(300)).await;
            answer.send(()).unwrap();
        });
        assert!(deadline.limit(answered).await.is_some());
        assert!(deadline.left() > Duration::ZERO);
        // It does not move for ever.
        assert!(deadline.limit(pending::<()>()).await.is_none());
    }

    #[tokio::test]
    async fn a_standstill_before_the_answer_leaves_time_for_what_follows_from_it() {
        let deadline = Deadline::after(Duration::from_millis(500));
        deadline.limit(async { stand_still() }).await.unwrap();
        assert!(deadline.left() > Duration::from_millis(100));
    }

    #[tokio::test]
    async fn an_answer_that_is_already_there_counts_though_the_time_is_up() {
        let deadline = Deadline::after(Duration::ZERO);
        assert!(deadline.limit(ready(())).await.is_some());
        // Passed on by one task to the next.
        let passed_on = async {
            for _ in 0..LAST_TURNS / 2 {
                yield_now().await;
            }
        };
        assert!(deadline.limit(passed_on).await.is_some());
        assert!(deadline.limit(pending::<()>()).await.is_none());
    }

    #[tokio::test]
    async fn no_timeout_is_too_long() {
        assert!(Deadline::after(Duration::MAX).left() > Duration::from_secs(1_000_000));
    }
}
