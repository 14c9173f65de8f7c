//! Why one attempt did not deliver.

use std::error::Error;
use std::io;

use super::cause::Cause;
use super::greeting::{Greeting, Speech};
use super::ration::Exceeded;
use super::remedy::Clue;
use super::retry::Retry;
use super::tls;
use crate::otlp::OutOfMemory;

pub(super) struct Failure {
    /// Our words: what happened, with the code if there is one.
    pub what: String,
    /// The message of the server or the operating system, if any. Untrusted: any length, any character, and a server
    /// may quote the request's headers. Never shown but through [`super::redaction::Redaction::one_line`].
    pub detail: String,
    pub retry: Retry,
    pub cause: Cause,
    /// The deadline passed before there was an answer.
    pub timed_out: bool,
    /// The server would take a smaller request.
    pub too_large: bool,
    /// The server has refused the client's certificate.
    pub about_identity: bool,
    /// None where `what` says itself what to change.
    pub clue: Option<Clue>,
}

impl Failure {
    pub fn new(what: impl Into<String>, detail: impl Into<String>, retry: Retry) -> Failure {
        Failure {
            what: what.into(),
            detail: detail.into(),
            retry,
            cause: Cause::Other,
            timed_out: false,
            too_large: false,
            about_identity: false,
            clue: None,
        }
    }

    /// A peer that could not be reached, or was lost before it answered.
    pub fn transport(what: &str, error: &(dyn Error + 'static), retry: Retry) -> Failure {
        let timed_out = |error: &(dyn Error + 'static)| {
            error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        };
        let cause = if sources(error).any(timed_out) { Cause::Timeout } else { Cause::Connection };
        let detail = root_cause(error).to_string();
        match tls::meaning(&detail) {
            Some(tls::Meaning { words, about_identity }) => {
                Failure { about_identity, ..Failure::new(format!("{what}: {words}"), "", retry) }
            }
            None => Failure { clue: clue(error), ..Failure::new(what, detail, retry) },
        }
        .of(cause)
    }

    pub fn timed_out() -> Failure {
        let failure = Failure::new("no answer in time", "", Retry::Backoff).of(Cause::Timeout);
        Failure { timed_out: true, clue: Some(Clue::Timeout), ..failure }
    }

    /// The same after a look at what the server has said first over the connection, and with what it should have begun.
    pub fn heard(self, greeting: &Greeting, expected: Speech) -> Failure {
        match greeting.speech() {
            Some(speech) if speech != expected => {
                let clue = Some(if expected == Speech::Tls { Clue::NoTls } else { Clue::Speaks(speech) });
                Failure { what: speech.instead_of(expected).to_owned(), detail: String::new(), clue, ..self }
            }
            None if self.has_no_meaning() => Failure { clue: Some(Clue::Unheard), ..self },
            _ => self,
        }
    }

    /// The connection was lost, and nobody knows why.
    fn has_no_meaning(&self) -> bool {
        self.cause == Cause::Connection && self.clue.is_none() && !self.detail.is_empty()
    }

    pub fn with(self, clue: Clue) -> Failure {
        Failure { clue: Some(clue), ..self }
    }

    /// The peer sends without end; another attempt would most likely cost as much.
    pub fn endless() -> Failure {
        Failure::new("no answer", Exceeded.to_string(), Retry::Never)
    }

    /// The request could not be encoded, which may succeed later, but not within this export.
    pub fn no_memory() -> Failure {
        Failure::new("the request cannot be encoded", OutOfMemory.to_string(), Retry::Never)
    }

    /// The server refused the request for its length, and would refuse it again.
    pub fn too_large(what: impl Into<String>, detail: impl Into<String>) -> Failure {
        Failure { too_large: true, ..Failure::new(what, detail, Retry::Never) }.with(Clue::TooLarge)
    }

    pub fn of(self, cause: Cause) -> Failure {
        Failure { cause, ..self }
    }
}

/// What the system's word for a failure of a socket says.
fn clue(error: &(dyn Error + 'static)) -> Option<Clue> {
    let kind = sources(error).find_map(|error| Some(error.downcast_ref::<io::Error>()?.kind()))?;
    match kind {
        // The second is of a socket in the file system.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Some(Clue::Refused),
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Some(Clue::Timeout)
        }
        _ => None,
    }
}

/// The layers above it say "transport error" and the like; the last source says "connection refused".
pub(super) fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    sources(error).last().unwrap_or(error)
}

/// `error` and all that caused it, outermost first.
pub(super) fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
