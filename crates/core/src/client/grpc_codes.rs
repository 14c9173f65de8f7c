//! gRPC's status codes: their names, and sets of them.

use tonic::Code;

/// A set of gRPC's status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcCodes(u32);

impl GrpcCodes {
    /// By number; None if gRPC has no code of one of the numbers.
    pub fn new(numbers: &[u32]) -> Option<GrpcCodes> {
        let mut bits = 0;
        for number in numbers {
            if *number > Code::Unauthenticated as u32 {
                return None;
            }
            bits |= 1 << number;
        }
        Some(GrpcCodes(bits))
    }

    pub(super) fn contain(self, code: Code) -> bool {
        self.0 & (1 << code as u32) != 0
    }
}

/// As the gRPC specification writes them; tonic's Display is a sentence.
pub(super) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_contains_what_it_was_made_of() {
        let codes = GrpcCodes::new(&[0, 13, 16]).unwrap();
        let contained: Vec<i32> = (0..17).filter(|code| codes.contain(Code::from_i32(*code))).collect();
        assert_eq!(contained, [0, 13, 16]);
        assert_eq!(GrpcCodes::new(&[17]), None);
        assert_eq!(GrpcCodes::new(&[u32::MAX]), None);
    }
}
