//! `google.rpc.Status`, in which both protocols carry the details of an error, reduced to the fields that are read.

use std::time::Duration;

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcStatus {
    #[prost(string, tag = "2")]
    pub message: String,
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

impl RpcStatus {
    pub fn retry_info(&self) -> Option<RetryInfo> {
        let detail =
            self.details.iter().find(|detail| detail.type_url.rsplit('/').next() == Some("google.rpc.RetryInfo"))?;
        RetryInfo::decode(&*detail.value).ok()
    }
}

impl RetryInfo {
    /// How long the server wants to be left alone; a negative time counts as none.
    pub fn delay(&self) -> Option<Duration> {
        let ProtoDuration { seconds, nanos } = self.delay?;
        let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        Some(seconds + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
    }
}
