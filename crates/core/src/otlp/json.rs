//! OTLP messages in the specification's JSON mapping, on one line.
//!
//! `opentelemetry-proto` knows the mapping (hex ids, 64-bit integers as strings, base64 bytes) but for two things, for
//! which every value passes through [`Spelled`]. It leaves doubles to serde_json, which writes NaN and the infinities
//! as
//! `null`; protobuf's mapping spells them as strings. And it writes `null` for fields that are not set, which the
//! OpenTelemetry Collector refuses for numbers (a histogram without `min`); they are left out.

use std::fmt::{self, Display};
use std::io;

use serde::ser::{
    Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, Serializer,
};

/// One message of `opentelemetry-proto`, without a line end.
pub fn to_json<M: Serialize>(message: &M) -> serde_json::Result<String> {
    serde_json::to_string(&as_json(message))
}

/// The same, written as it is made.
pub fn write_json<M: Serialize>(message: &M, out: impl io::Write) -> serde_json::Result<()> {
    serde_json::to_writer(out, &as_json(message))
}

/// The same for a caller that has a serializer of its own.
pub fn as_json<M: Serialize>(message: &M) -> impl Serialize {
    Spelled(message)
}

/// Around a value: serializes it through a `Spelled` serializer. Around a serializer: spells non-finite doubles and
/// leaves out what is not set.
struct Spelled<T>(T);

impl<T: Serialize + ?Sized> Serialize for Spelled<&T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Spelled(serializer))
    }
}

macro_rules! pass_on {
    ($($method:ident($value:ty)),* $(,)?) => {
        $(fn $method(self, value: $value) -> Result<S::Ok, S::Error> {
            self.0.$method(value)
        })*
    };
}

impl<S: Serializer> Serializer for Spelled<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Spelled<S::SerializeSeq>;
    type SerializeMap = Spelled<S::SerializeMap>;
    type SerializeStruct = Spelled<S::SerializeStruct>;
    type SerializeStructVariant = Spelled<S::SerializeStructVariant>;
    // No OTLP message has a tuple in it.
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            self.0.serialize_f64(value)
        } else if value.is_nan() {
            self.0.serialize_str("NaN")
        } else if value > 0.0 {
            self.0.serialize_str("Infinity")
        } else {
            self.0.serialize_str("-Infinity")
        }
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.serialize_f64(value.into())
    }

    pass_on! {
        serialize_bool(bool), serialize_char(char), serialize_str(&str), serialize_bytes(&[u8]),
        serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64),
        serialize_unit_struct(&'static str),
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Spelled(value))
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit()
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Spelled(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &Spelled(value))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.0.serialize_seq(len).map(Spelled)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.0.serialize_map(len).map(Spelled)
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.0.serialize_struct(name, len).map(Spelled)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.0.serialize_struct_variant(name, index, variant, len).map(Spelled)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, S::Error> {
        Err(no_tuple())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, S::Error> {
        Err(no_tuple())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        Err(no_tuple())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }
}

fn no_tuple<E: serde::ser::Error>() -> E {
    E::custom("OTLP has no tuples")
}

impl<S: SerializeSeq> SerializeSeq for Spelled<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.0.serialize_element(&Spelled(value))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

/// Messages with a oneof in them are written as maps.
impl<S: SerializeMap> SerializeMap for Spelled<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), S::Error> {
        match is_none(value) {
            true => Ok(()),
            false => self.0.serialize_entry(key, &Spelled(value)),
        }
    }

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.0.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.0.serialize_value(&Spelled(value))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

impl<S: SerializeStruct> SerializeStruct for Spelled<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), S::Error> {
        match is_none(value) {
            true => self.0.skip_field(key),
            false => self.0.serialize_field(key, &Spelled(value)),
        }
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

impl<S: SerializeStructVariant> SerializeStructVariant for Spelled<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), S::Error> {
        match is_none(value) {
            true => self.0.skip_field(key),
            false => self.0.serialize_field(key, &Spelled(value)),
        }
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

fn is_none<T: Serialize + ?Sized>(value: &T) -> bool {
    value.serialize(IsNone).is_ok()
}

/// Takes None and nothing else.
struct IsNone;

macro_rules! refuse {
    ($($method:ident($($value:ty),*) -> $ok:ty),* $(,)?) => {
        $(fn $method(self, $(_: $value),*) -> Result<$ok, fmt::Error> {
            Err(fmt::Error)
        })*
    };
}

type Refused = Impossible<(), fmt::Error>;

impl Serializer for IsNone {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Refused;
    type SerializeTuple = Refused;
    type SerializeTupleStruct = Refused;
    type SerializeTupleVariant = Refused;
    type SerializeMap = Refused;
    type SerializeStruct = Refused;
    type SerializeStructVariant = Refused;

    fn serialize_none(self) -> Result<(), fmt::Error> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<(), fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), fmt::Error> {
        Err(fmt::Error)
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<(), fmt::Error> {
        Err(fmt::Error)
    }

    refuse! {
        serialize_bool(bool) -> (), serialize_char(char) -> (), serialize_str(&str) -> (), serialize_bytes(&[u8]) -> (),
        serialize_i8(i8) -> (), serialize_i16(i16) -> (), serialize_i32(i32) -> (), serialize_i64(i64) -> (),
        serialize_u8(u8) -> (), serialize_u16(u16) -> (), serialize_u32(u32) -> (), serialize_u64(u64) -> (),
        serialize_f32(f32) -> (), serialize_f64(f64) -> (),
        serialize_unit() -> (), serialize_unit_struct(&'static str) -> (),
        serialize_unit_variant(&'static str, u32, &'static str) -> (),
        serialize_seq(Option<usize>) -> Refused, serialize_tuple(usize) -> Refused,
        serialize_tuple_struct(&'static str, usize) -> Refused,
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Refused,
        serialize_map(Option<usize>) -> Refused, serialize_struct(&'static str, usize) -> Refused,
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Refused,
    }
}
