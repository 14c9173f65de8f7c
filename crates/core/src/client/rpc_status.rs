//! `google.rpc.Status`, in which both protocols carry the details of an error, reduced to the fields that are read.

use std::time::Duration;

use prost::Message;
use serde::Deserialize;

use super::response::Format;

#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcStatus {
    /// A text; what is not UTF-8 in it does not make the rest unreadable.
    #[prost(bytes = "vec", tag = "2")]
    message: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<ProtoDuration>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// Its JSON form; only the message is read there.
#[derive(Deserialize)]
struct JsonRpcStatus {
    message: String,
}

impl RpcStatus {
    /// None if `body` is something else.
    pub fn decode_as(format: Format, body: &[u8]) -> Option<RpcStatus> {
        match format {
            Format::Protobuf => RpcStatus::decode(body).ok(),
            Format::Json => {
                let JsonRpcStatus { message } = serde_json::from_str(&String::from_utf8_lossy(body)).ok()?;
                Some(RpcStatus { message: message.into(), details: Vec::new() })
            }
        }
    }

    pub fn message(&self) -> String {
        String::from_utf8_lossy(&self.message).into_owned()
    }

    pub fn retry_info(&self) -> Option<RetryInfo> {
        let detail =
            self.details.iter().find(|detail| detail.type_url.rsplit('/').next() == Some("google.rpc.RetryInfo"))?;
        RetryInfo::decode(&*detail.value).ok()
    }
}

impl RetryInfo {
    #[cfg(test)]
    pub fn of(seconds: i64, nanos: i32) -> RetryInfo {
        RetryInfo { delay: Some(ProtoDuration { seconds, nanos }) }
    }

    /// How long the server asks us to wait; a negative time counts as none.
    pub fn delay(&self) -> Option<Duration> {
        let ProtoDuration { seconds, nanos } = self.delay?;
        let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        Some(seconds + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_delay_is_none() {
        for (seconds, nanos, delay) in [
            (1, 500_000_000, Duration::from_millis(1500)),
            (-1, 0, Duration::ZERO),
            (0, -1, Duration::ZERO),
            (i64::MAX, i32::MAX, Duration::from_secs(i64::MAX as u64) + Duration::from_nanos(i32::MAX as u64)),
        ] {
            assert_eq!(RetryInfo::of(seconds, nanos).delay(), Some(delay));
        }
        assert_eq!(RetryInfo { delay: None }.delay(), None);
    }
}
