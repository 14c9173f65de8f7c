//! What an export leads to.

use super::cause::Cause;
use super::failure::Failure;

/// What became of one export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server took the request. `rejected` items of it were refused for good (OTLP's partial success); `message`
    /// is the server's explanation, or, with `rejected` = 0, its warning. Empty when it said nothing.
    Delivered { rejected: u64, message: String },
    /// The server refuses a request of this size; smaller ones may pass. One line, free of secrets.
    TooLarge { reason: String, cause: Cause },
    /// The server did not take the request and nobody will try again. One line, free of secrets.
    Failed { reason: String, cause: Cause },
}

impl Outcome {
    /// The end of an export whose last attempt met `failure`.
    pub(super) fn of(failure: &Failure, reason: String) -> Outcome {
        let cause = failure.cause;
        match failure.too_large {
            true => Outcome::TooLarge { reason, cause },
            false => Outcome::Failed { reason, cause },
        }
    }
}
