//! Values of attributes as AnyValue messages.

use crate::otlp::wire::{self, Fields, Value, fixed64_tag, len_tag, varint_tag};

// Field numbers of `AnyValue`.
pub const STRING: u8 = 1;
pub const BOOL: u8 = 2;
pub const INT: u8 = 3;
pub const DOUBLE: u8 = 4;
pub const ARRAY: u8 = 5;
pub const KVLIST: u8 = 6;
pub const BYTES: u8 = 7;

/// A value, borrowed. `1`, `1.0` and `True` are different values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// An AnyValue message: a sequence, a mapping, or what only the encoder understands.
    Encoded(&'a [u8]),
}

impl<'a> Scalar<'a> {
    /// The value of an AnyValue message.
    pub fn of_message(message: &'a [u8]) -> Self {
        match Fields::of(message).next() {
            None => Self::Null,
            Some((1, Value::Bytes(text))) => std::str::from_utf8(text).map_or(Self::Encoded(message), Self::Text),
            Some((2, Value::Varint(value))) => Self::Bool(value != 0),
            Some((3, Value::Varint(value))) => Self::Int(value as i64),
            Some((4, Value::Fixed64(value))) => Self::Double(f64::from_bits(value)),
            Some((7, Value::Bytes(bytes))) => Self::Bytes(bytes),
            Some(_) => Self::Encoded(message),
        }
    }

    /// The length of the AnyValue message.
    #[inline]
    pub fn encoded_len(self) -> usize {
        let bytes = |len: usize| 1 + wire::varint_len(len as u64) + len;
        match self {
            Self::Null => 0,
            Self::Text(value) => bytes(value.len()),
            Self::Bytes(value) => bytes(value.len()),
            Self::Bool(_) => 2,
            Self::Int(value) => 1 + wire::varint_len(value as u64),
            Self::Double(_) => 9,
            Self::Encoded(value) => value.len(),
        }
    }

    /// Writes the AnyValue message into `encoded_len` bytes.
    #[inline]
    pub(super) fn encode_at(self, out: &mut [u8]) {
        let mut bytes = |field: u8, value: &[u8]| {
            if value.len() < 0x80 {
                out[..2].copy_from_slice(&[len_tag(field), value.len() as u8]);
                return wire::copy_short(&mut out[2..], value);
            }
            let at = wire::head_at(out, 0, len_tag(field), value.len());
            out[at..].copy_from_slice(value);
        };
        match self {
            Self::Null => {}
            Self::Text(value) => bytes(STRING, value.as_bytes()),
            Self::Bytes(value) => bytes(BYTES, value),
            Self::Bool(value) => out.copy_from_slice(&[varint_tag(BOOL), u8::from(value)]),
            Self::Int(value) => {
                out[0] = varint_tag(INT);
                wire::varint_at(out, 1, value as u64);
            }
            Self::Double(value) => {
                out[0] = fixed64_tag(DOUBLE);
                out[1..].copy_from_slice(&value.to_le_bytes());
            }
            Self::Encoded(value) => out.copy_from_slice(value),
        }
    }

    /// Appends the AnyValue message. Whoever may have a long one makes room before.
    pub fn encode(self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + self.encoded_len(), 0);
        self.encode_at(&mut out[start..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::{AnyValue as Proto, any_value::Value as Kind};
    use prost::Message;

    #[test]
    fn values_decode_to_what_was_put_in() {
        let long = "x".repeat(300);
        let cases = [
            (Scalar::Null, None),
            (Scalar::Text(""), Some(Kind::StringValue(String::new()))),
            (Scalar::Text(&long), Some(Kind::StringValue(long.clone()))),
            (Scalar::Bool(false), Some(Kind::BoolValue(false))),
            (Scalar::Int(-1), Some(Kind::IntValue(-1))),
            (Scalar::Int(i64::MAX), Some(Kind::IntValue(i64::MAX))),
            (Scalar::Double(0.5), Some(Kind::DoubleValue(0.5))),
            (Scalar::Bytes(&[0, 255]), Some(Kind::BytesValue(vec![0, 255]))),
        ];
        for (scalar, value) in cases {
            let mut out = Vec::new();
            scalar.encode(&mut out);
            assert_eq!(out.len(), scalar.encoded_len(), "{scalar:?}");
            assert_eq!(Proto::decode(&out[..]).unwrap().value, value);
            assert_eq!(Scalar::of_message(&out), scalar);
        }
    }
}
