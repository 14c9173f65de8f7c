//! Why an export failed, in the words of the semantic conventions.

use std::borrow::Cow;
use std::fmt;

use tonic::Code;

use super::grpc_codes;

/// The kind of a failure, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server answered with this status.
    Status(Status),
    /// There was no answer in time.
    Timeout,
    /// The server could not be reached, or was lost before it answered.
    Connection,
    Other,
}

/// How a server answers that it did not take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Http(u16),
    /// The name of the code, as the gRPC specification writes it.
    Grpc(&'static str),
}

impl Cause {
    /// `error.type`.
    pub fn error_type(self) -> Cow<'static, str> {
        match self {
            Cause::Status(Status::Grpc(name)) => name.into(),
            Cause::Status(status) => status.to_string().into(),
            Cause::Timeout => "timeout".into(),
            Cause::Connection => "connection".into(),
            Cause::Other => "_OTHER".into(),
        }
    }

    /// `http.response.status_code` or `rpc.response.status_code`, if there was one. gRPC has codes for calls that
    /// are lost on the way, too.
    pub fn status(self, is_grpc: bool) -> Option<Status> {
        match self {
            Cause::Status(status) => Some(status),
            Cause::Timeout if is_grpc => Some(Status::Grpc(grpc_codes::name(Code::DeadlineExceeded))),
            Cause::Connection if is_grpc => Some(Status::Grpc(grpc_codes::name(Code::Unavailable))),
            Cause::Timeout | Cause::Connection | Cause::Other => None,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Http(code) => code.fmt(f),
            Status::Grpc(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_has_an_error_type_and_maybe_a_status() {
        let (unavailable, http) = (Status::Grpc("UNAVAILABLE"), Status::Http(503));
        for (cause, error_type, over_http, over_grpc) in [
            (Cause::Status(http), "503", Some(http), Some(http)),
            (Cause::Status(unavailable), "UNAVAILABLE", Some(unavailable), Some(unavailable)),
            (Cause::Timeout, "timeout", None, Some(Status::Grpc("DEADLINE_EXCEEDED"))),
            (Cause::Connection, "connection", None, Some(unavailable)),
            (Cause::Other, "_OTHER", None, None),
        ] {
            assert_eq!(cause.error_type(), error_type);
            assert_eq!((cause.status(false), cause.status(true)), (over_http, over_grpc));
        }
    }
}
