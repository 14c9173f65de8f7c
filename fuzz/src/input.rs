//! A program's choices, read from the fuzzer's bytes.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};

/// Gives zeros when the bytes are used up, so that every input is a program.
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn of(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *byte
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// At most 255, as `count` is.
    pub fn below(&mut self, count: u8) -> usize {
        usize::from(self.byte() % count)
    }

    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        head
    }

    /// At most 255 bytes.
    pub fn bytes(&mut self) -> &'a [u8] {
        let len = self.byte();
        self.take(len.into())
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Of any magnitude: small ones, and those beside a power of two, are as likely as large ones.
    pub fn number(&mut self) -> u64 {
        let byte = self.byte();
        match byte & 7 {
            0..=2 => u64::from(byte >> 3),
            3 => 1 << (byte >> 3) << (byte >> 3),
            4 => (1 << (byte >> 3) << (byte >> 3)) - 1,
            5 => u64::MAX - u64::from(byte >> 3),
            _ => self.take(8).iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        }
    }

    pub fn double(&mut self) -> f64 {
        match self.byte() & 7 {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => -0.0,
            4 => self.number() as f64,
            _ => f64::from_bits(self.number()),
        }
    }

    pub fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| read(self))
    }

    /// One of a few texts that come again, any text, or a long one.
    pub fn text(&mut self) -> String {
        let byte = self.byte();
        match byte {
            0..0x80 => format!("key {}", byte & 0x1f),
            0x80..0xf0 => String::from_utf8_lossy(self.take(usize::from(byte) - 0x80)).into_owned(),
            // So that lengths take one, two and three bytes.
            0xf0.. => "ä".repeat(usize::from(byte - 0xf0) * 600 + 60),
        }
    }

    pub fn any_value(&mut self) -> AnyValue {
        self.nested(3)
    }

    fn nested(&mut self, depth: usize) -> AnyValue {
        let count = |input: &mut Self| if depth == 0 { 0 } else { input.below(4) };
        let value = match self.byte() % 8 {
            0 => return AnyValue { value: None },
            1 => Value::BoolValue(self.flag()),
            2 => Value::IntValue(self.number() as i64),
            3 => Value::DoubleValue(self.double()),
            4 => Value::BytesValue(self.bytes().into()),
            5 => {
                let values = (0..count(self)).map(|_| self.nested(depth - 1)).collect();
                Value::ArrayValue(ArrayValue { values })
            }
            6 => {
                let value = |input: &mut Self| (input.text(), input.nested(depth - 1));
                let values = (0..count(self)).map(|_| key_value(value(self))).collect();
                Value::KvlistValue(KeyValueList { values })
            }
            _ => Value::StringValue(self.text()),
        };
        AnyValue { value: Some(value) }
    }
}

pub fn key_value((key, value): (String, AnyValue)) -> KeyValue {
    KeyValue { key, value: Some(value), ..Default::default() }
}
