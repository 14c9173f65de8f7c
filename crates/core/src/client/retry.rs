//! When to try again. OTLP specification, "Retryable Response Codes" and "Failures"; the times are upstream's.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::deadline::Deadline;

const INITIAL_BACKOFF: Duration = Duration::from_secs(1);
/// Before jitter.
const MAX_BACKOFF: Duration = Duration::from_secs(32);
/// The shortest delay that a server can ask for. It doubles with each attempt, so that the server is not flooded.
const INITIAL_MIN_DELAY: Duration = Duration::from_millis(10);

/// Whether another attempt may succeed, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    Never,
    Backoff,
    /// The connection was closed already, and the server has most likely not seen the request: the next attempt
    /// needs no backoff, and is made even during a shutdown. Granted once; from then on the same as `Backoff`.
    AtOnce,
    /// The server said so.
    After(Duration),
}

/// The attempts of one export.
pub(super) struct Retries<'a> {
    deadline: &'a Deadline,
    /// Any of them ends the attempts.
    no_retry: [&'a watch::Receiver<bool>; 3],
    failed: u32,
    /// How many attempts failed through no fault of the server. They do not lengthen the backoff.
    at_once: u32,
}

impl<'a> Retries<'a> {
    pub fn new(deadline: &'a Deadline, no_retry: [&'a watch::Receiver<bool>; 3]) -> Self {
        Retries { deadline, no_retry, failed: 0, at_once: 0 }
    }

    /// Called after each failed attempt: waits until the next one is due, and says whether there is to be one. It does
    /// not wait for an attempt that the deadline would forbid.
    pub async fn wait(&mut self, retry: Retry) -> bool {
        let failed = self.failed - self.at_once;
        self.failed += 1;
        let delay = match retry {
            Retry::Never => return false,
            Retry::AtOnce if self.at_once == 0 => {
                self.at_once = 1;
                return !self.deadline.left().is_zero();
            }
            Retry::Backoff | Retry::AtOnce => backoff(failed).mul_f64(0.8 + 0.4 * random_fraction()),
            Retry::After(delay) => delay.max(doubled(INITIAL_MIN_DELAY, failed)),
        };
        if delay >= self.deadline.left() {
            return false;
        }
        let [one, another, third] = self.no_retry;
        let wait = async {
            tokio::select! {
                biased;
                () = raised(one) => false,
                () = raised(another) => false,
                () = raised(third) => false,
                () = sleep(delay) => true,
            }
        };
        self.deadline.limit(wait).await.unwrap_or(false)
    }

    /// Attempts made so far.
    pub fn attempts(&self) -> u32 {
        self.failed
    }
}

fn backoff(failed: u32) -> Duration {
    doubled(INITIAL_BACKOFF, failed)
}

fn doubled(initial: Duration, times: u32) -> Duration {
    let factor = 2u32.checked_pow(times).unwrap_or(u32::MAX);
    initial.saturating_mul(factor).min(MAX_BACKOFF)
}

/// In 0..1. The standard library's hash keys are random enough to keep clients from retrying in step.
fn random_fraction() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

/// Resolves once `flag` is true; never, if nobody is left who could set it.
async fn raised(flag: &watch::Receiver<bool>) {
    let mut flag = flag.clone();
    let abandoned = flag.wait_for(|raised| *raised).await.is_err();
    if abandoned {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_maximum() {
        let seconds: Vec<u64> = (0..8).map(|failed| backoff(failed).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 32, 32]);
        assert_eq!(backoff(u32::MAX), MAX_BACKOFF);
    }

    #[test]
    fn jitter_varies() {
        let fractions: Vec<f64> = (0..16).map(|_| random_fraction()).collect();
        assert!(fractions.iter().all(|f| (0.0..=1.0).contains(f)));
        assert!(fractions.iter().any(|f| *f != fractions[0]));
    }

    #[tokio::test]
    async fn a_delay_beyond_the_deadline_is_not_waited_for() {
        let (_shutdown, no_retry) = watch::channel(false);
        let started = Instant::now();
        let deadline = Deadline::after(Duration::from_secs(60));
        let mut retries = Retries::new(&deadline, [&no_retry; 3]);
        assert!(!retries.wait(Retry::After(Duration::from_secs(61))).await);
        assert!(!retries.wait(Retry::After(Duration::MAX)).await);
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_server_that_asks_for_immediate_retries_is_not_hammered() {
        let (_shutdown, no_retry) = watch::channel(false);
        let deadline = Deadline::after(Duration::from_millis(200));
        let mut retries = Retries::new(&deadline, [&no_retry; 3]);
        while retries.wait(Retry::After(Duration::ZERO)).await {}
        assert!(retries.attempts() <= 5, "{}", retries.attempts());
    }

    #[tokio::test]
    async fn an_attempt_at_once_is_granted_once_and_even_during_a_shutdown() {
        let (_shutdown, no_retry) = watch::channel(true);
        let deadline = Deadline::after(Duration::from_secs(60));
        let mut retries = Retries::new(&deadline, [&no_retry; 3]);
        assert!(retries.wait(Retry::AtOnce).await);
        assert!(!retries.wait(Retry::AtOnce).await);

        let (_shutdown, no_retry) = watch::channel(false);
        let deadline = Deadline::after(Duration::ZERO);
        let mut retries = Retries::new(&deadline, [&no_retry; 3]);
        assert!(!retries.wait(Retry::AtOnce).await);
    }

    #[tokio::test]
    async fn a_lost_shutdown_sender_is_no_shutdown() {
        let (shutdown, no_retry) = watch::channel(false);
        drop(shutdown);
        let deadline = Deadline::after(Duration::from_secs(60));
        let mut retries = Retries::new(&deadline, [&no_retry; 3]);
        assert!(retries.wait(Retry::After(Duration::ZERO)).await);
    }
}
