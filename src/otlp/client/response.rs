//! The answer to an export request. Its field numbers are the same for all signals.

use bytes::Bytes;
use prost::Message;

/// A longer answer is not read to its end: memory is bounded, whatever the peer sends.
pub(super) const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// A request the server took, and what it had to say about it.
#[derive(Default)]
pub(super) struct Accepted {
    pub rejected: u64,
    pub message: String,
}

#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

impl Accepted {
    /// What does not decode is taken for full success: the status has already said that the data were accepted.
    pub fn decode(body: Bytes) -> Accepted {
        let response = ExportResponse::decode(body).unwrap_or_default();
        let partial_success = response.partial_success.unwrap_or_default();
        Accepted {
            rejected: u64::try_from(partial_success.rejected).unwrap_or(0),
            message: partial_success.error_message,
        }
    }
}
