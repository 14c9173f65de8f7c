//! The walk over a protobuf message.

use prost::bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};

use super::budget::{Budget, Counts, Unfit};
use super::shapes::{Content, Shape};

/// prost refuses messages that are nested deeper.
const MAX_DEPTH: usize = 100;

pub fn walk(bytes: &[u8], shape: &'static Shape, budget: &mut Budget) -> Result<(), Unfit> {
    message(bytes, shape, MAX_DEPTH, budget)
}

fn message(mut bytes: &[u8], shape: &'static Shape, depth: usize, budget: &mut Budget) -> Result<(), Unfit> {
    let mut counts = Counts::default();
    while let Some((number, payload)) = next_field(&mut bytes) {
        let known = shape.by_number(number);
        match (payload, known.map(|(place, field)| (place, field.content))) {
            (Payload::Bytes(body), Some((_, Content::One(nested)))) => nest(body, nested, depth, budget)?,
            (Payload::Bytes(body), Some((place, Content::Many(nested)))) => {
                budget.charge_item(counts.next(place), nested.size)?;
                nest(body, nested, depth, budget)?;
            }
            (Payload::Bytes(body), Some((place, Content::Strings))) => {
                budget.charge_item(counts.next(place), size_of::<String>())?;
                budget.charge_text(body.len())?;
            }
            // The `Vec` that they are in may have twice the room that it needs.
            (Payload::Bytes(body), Some((_, Content::Varints))) => budget.charge(16 * body.len())?,
            (Payload::Bytes(body), Some((_, Content::Fixed))) => budget.charge(2 * body.len())?,
            (Payload::Bytes(body), None) => budget.charge_text(body.len())?,
            (Payload::Number, Some((place, Content::Varints | Content::Fixed))) => {
                budget.charge_item(counts.next(place), size_of::<u64>())?;
            }
            (Payload::Number, _) => {}
        }
    }
    Ok(())
}

fn nest(bytes: &[u8], shape: &'static Shape, depth: usize, budget: &mut Budget) -> Result<(), Unfit> {
    if depth == 0 { Ok(()) } else { message(bytes, shape, depth - 1, budget) }
}

enum Payload<'a> {
    Bytes(&'a [u8]),
    Number,
}

/// `None` at the end, or where prost finds an error too. The fields of a group, which OTLP does not have and prost
/// skips, count as if they were the message's own.
fn next_field<'a>(bytes: &mut &'a [u8]) -> Option<(u32, Payload<'a>)> {
    let (number, wire_type) = decode_key(bytes).ok()?;
    let fixed = match wire_type {
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(bytes).ok()?).ok()?;
            let (body, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            return Some((number, Payload::Bytes(body)));
        }
        WireType::Varint => {
            decode_varint(bytes).ok()?;
            0
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::StartGroup | WireType::EndGroup => 0,
    };
    if bytes.remaining() < fixed {
        return None;
    }
    bytes.advance(fixed);
    Some((number, Payload::Number))
}
