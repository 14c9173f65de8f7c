//! How much memory a request takes once it is decoded, found out before it is.
//!
//! An empty span is 2 bytes in protobuf and hundreds in memory, so a bound on a request's bytes bounds nothing.
//! [`shapes`] says which messages are nested in which; a walk over the bytes adds up what the decoder is going to
//! allocate, allocates nothing itself, and stops at the limit.

mod json;
mod protobuf;
mod shapes;
#[cfg(test)]
mod tests;

use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::call::{Encoding, Signal};
use shapes::Shape;

/// Why a request is not decoded.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfit {
    TooLarge,
    /// serde takes an array of the fields' values for an object, which no sender writes and this walk does not follow.
    ArrayForObject,
}

/// What the decoded request takes, at most and in bytes. Bytes that no decoder takes measure up to where they break.
pub fn decoded_bytes(signal: Signal, encoding: Encoding, bytes: &[u8], limit: usize) -> Result<usize, Unfit> {
    let shape = match signal {
        Signal::Traces => &shapes::TRACES,
        Signal::Metrics => &shapes::METRICS,
        Signal::Logs => &shapes::LOGS,
    };
    let mut budget = Budget { limit, left: limit };
    match encoding {
        Encoding::Protobuf => protobuf::walk(bytes, shape, &mut budget)?,
        Encoding::Json => json::walk(bytes, shape, &mut budget)?,
    }
    Ok(budget.spent())
}

/// What a decoded span takes.
pub fn span_bytes(span: &Span) -> usize {
    let mut budget = Budget { limit: usize::MAX, left: usize::MAX };
    // A walk without a limit cannot exceed it.
    let _ = protobuf::walk(&span.encode_to_vec(), &shapes::SPAN, &mut budget);
    shapes::SPAN.size + budget.spent()
}

struct Budget {
    limit: usize,
    left: usize,
}

impl Budget {
    /// What the allocator adds to a small allocation, at most.
    const PER_ALLOCATION: usize = 16;

    fn charge(&mut self, bytes: usize) -> Result<(), Unfit> {
        self.left = self.left.checked_sub(bytes).ok_or(Unfit::TooLarge)?;
        Ok(())
    }

    /// For a string or bytes with an allocation of its own.
    fn charge_text(&mut self, bytes: usize) -> Result<(), Unfit> {
        if bytes == 0 { Ok(()) } else { self.charge(bytes + Self::PER_ALLOCATION) }
    }

    /// For one more item in a `Vec` of so many: its growth, which is by doubling from 4 on.
    fn charge_item(&mut self, items_before: usize, size: usize) -> Result<(), Unfit> {
        match items_before {
            0 => self.charge(4 * size + Self::PER_ALLOCATION),
            1..4 => Ok(()),
            _ if items_before.is_power_of_two() => self.charge(items_before * size),
            _ => Ok(()),
        }
    }

    fn spent(&self) -> usize {
        self.limit - self.left
    }
}

/// How many of each repeated field a message has so far, by the field's place in its shape.
#[derive(Default)]
struct Counts([usize; Shape::MAX_FIELDS]);

impl Counts {
    /// The number before this one.
    fn next(&mut self, field: usize) -> usize {
        let count = &mut self.0[field];
        *count += 1;
        *count - 1
    }
}
