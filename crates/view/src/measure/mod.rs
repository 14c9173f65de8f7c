//! How much memory a request takes once it is decoded, found out before it is.
//!
//! An empty span is 2 bytes in protobuf and hundreds in memory, so a bound on a request's bytes bounds nothing.
//! [`shapes`] says which messages are nested in which; a walk over the bytes adds up what the decoder is going to
//! allocate, allocates nothing itself, and stops at the limit.

mod budget;
mod json;
mod protobuf;
mod shapes;
#[cfg(test)]
mod tests;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::call::{Encoding, Signal};
use budget::Budget;

pub use budget::Unfit;

/// What the decoded request takes, at most and in bytes. Bytes that no decoder takes measure up to where they break.
pub fn decoded_bytes(signal: Signal, encoding: Encoding, bytes: &[u8], limit: usize) -> Result<usize, Unfit> {
    let shape = match signal {
        Signal::Traces => &shapes::TRACES,
        Signal::Metrics => &shapes::METRICS,
        Signal::Logs => &shapes::LOGS,
    };
    let mut budget = Budget::new(limit);
    match encoding {
        Encoding::Protobuf => protobuf::walk(bytes, shape, &mut budget)?,
        Encoding::Json => json::walk(bytes, shape, &mut budget)?,
    }
    Ok(budget.spent())
}

/// What a decoded span takes.
pub fn span_bytes(span: &Span) -> usize {
    message_bytes(span, &shapes::SPAN)
}

/// What a decoded log record takes.
pub fn log_bytes(record: &LogRecord) -> usize {
    message_bytes(record, &shapes::LOG_RECORD)
}

fn message_bytes(message: &impl Message, shape: &'static shapes::Shape) -> usize {
    let mut budget = Budget::new(usize::MAX);
    // A walk without a limit cannot exceed it.
    let _ = protobuf::walk(&message.encode_to_vec(), shape, &mut budget);
    shape.size + budget.spent()
}
