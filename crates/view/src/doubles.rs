//! OTLP/JSON as its senders write it: doubles for which JSON has no number are the strings `NaN`, `Infinity` and
//! `-Infinity`. `opentelemetry-proto` takes numbers alone, so every value passes through [`Spelled`], the counterpart of
//! what `otel_rs_core::otlp::as_json` writes.

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

/// The fields of OTLP that are doubles, or lists of them.
const DOUBLES: [&str; 7] = ["doubleValue", "asDouble", "sum", "min", "max", "explicitBounds", "zeroThreshold"];

pub fn from_json<M: DeserializeOwned>(json: &[u8]) -> serde_json::Result<M> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let message = M::deserialize(Spelled { inner: &mut deserializer, is_double: false })?;
    deserializer.end()?;
    Ok(message)
}

fn number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// Around a deserializer, a visitor, or what a visitor is given.
struct Spelled<T> {
    inner: T,
    /// Whether it is about the value of one of [`DOUBLES`].
    is_double: bool,
}

macro_rules! deserialize {
    ($($method:ident($($name:ident: $kind:ty),*)),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, $($name: $kind,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($name,)* Spelled { inner: visitor, is_double: self.is_double })
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Spelled<D> {
    type Error = D::Error;

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        // It would not look at a string.
        self.deserialize_any(visitor)
    }

    deserialize! {
        deserialize_any(), deserialize_bool(), deserialize_char(), deserialize_str(), deserialize_string(),
        deserialize_i8(), deserialize_i16(), deserialize_i32(), deserialize_i64(),
        deserialize_u8(), deserialize_u16(), deserialize_u32(), deserialize_u64(), deserialize_f32(),
        deserialize_bytes(), deserialize_byte_buf(), deserialize_option(), deserialize_unit(), deserialize_seq(),
        deserialize_map(), deserialize_identifier(), deserialize_ignored_any(),
        deserialize_unit_struct(name: &'static str), deserialize_newtype_struct(name: &'static str),
        deserialize_tuple(len: usize), deserialize_tuple_struct(name: &'static str, len: usize),
        deserialize_struct(name: &'static str, fields: &'static [&'static str]),
        deserialize_enum(name: &'static str, variants: &'static [&'static str]),
    }
}

macro_rules! visit {
    ($($method:ident($kind:ty)),* $(,)?) => {
        $(fn $method<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.inner.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Spelled<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit! { visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64) }

    fn visit_str<E: Error>(self, text: &str) -> Result<V::Value, E> {
        match number(text).filter(|_| self.is_double) {
            Some(number) => self.inner.visit_f64(number),
            None => self.inner.visit_str(text),
        }
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<V::Value, E> {
        match number(text).filter(|_| self.is_double) {
            Some(number) => self.inner.visit_f64(number),
            None => self.inner.visit_borrowed_str(text),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Spelled { inner: deserializer, is_double: self.is_double })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Spelled { inner: deserializer, is_double: self.is_double })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Spelled { inner: items, is_double: self.is_double })
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Spelled { inner: entries, is_double: false })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(data)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Spelled<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Spelled { inner: deserializer, is_double: self.is_double })
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Spelled<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.inner.next_element_seed(Spelled { inner: seed, is_double: self.is_double })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Spelled<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(key) = self.inner.next_key::<String>()? else { return Ok(None) };
        self.is_double = DOUBLES.contains(&&*key);
        let key: StringDeserializer<A::Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.next_value_seed(Spelled { inner: seed, is_double: self.is_double })
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::{
        Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Summary,
        SummaryDataPoint, number_data_point, summary_data_point::ValueAtQuantile,
    };
    use otel_rs_core::otlp::to_json;

    use super::*;

    fn request() -> ExportMetricsServiceRequest {
        let attribute = |value| KeyValue {
            key: "NaN".to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        };
        let gauge = NumberDataPoint {
            attributes: vec![
                attribute(Value::DoubleValue(f64::NEG_INFINITY)),
                attribute(Value::StringValue("Infinity".to_owned())),
                attribute(Value::DoubleValue(0.5)),
            ],
            value: Some(number_data_point::Value::AsDouble(f64::INFINITY)),
            ..NumberDataPoint::default()
        };
        let histogram = HistogramDataPoint {
            count: u64::MAX,
            sum: Some(f64::INFINITY),
            min: Some(-1.5),
            max: Some(f64::INFINITY),
            bucket_counts: vec![1, 2],
            explicit_bounds: vec![2.0, f64::INFINITY],
            ..HistogramDataPoint::default()
        };
        let quantile = ValueAtQuantile { quantile: 0.5, value: f64::INFINITY };
        let summary = SummaryDataPoint { quantile_values: vec![quantile], ..SummaryDataPoint::default() };
        let data = [
            Data::Gauge(Gauge { data_points: vec![gauge] }),
            Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 2 }),
            Data::Summary(Summary { data_points: vec![summary] }),
        ];
        let metrics = data.map(|data| Metric { name: "min".to_owned(), data: Some(data), ..Metric::default() });
        let scope_metrics = vec![ScopeMetrics { metrics: metrics.into(), ..ScopeMetrics::default() }];
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }],
        }
    }

    #[test]
    fn what_we_write_is_read() {
        let json = to_json(&request()).unwrap();
        assert!(json.contains(r#""asDouble":"Infinity""#), "{json}");
        assert_eq!(from_json::<ExportMetricsServiceRequest>(json.as_bytes()).unwrap(), request());
    }

    #[test]
    fn nan_is_read_and_other_words_are_not() {
        let point = |value: &str| {
            let json = format!(
                r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m","gauge":{{"dataPoints":[{{"asDouble":{value}}}]}}}}]}}]}}]}}"#
            );
            from_json::<ExportMetricsServiceRequest>(json.as_bytes()).map(|request| to_json(&request).unwrap())
        };
        assert!(point(r#""NaN""#).unwrap().contains(r#""asDouble":"NaN""#));
        assert!(point("1").unwrap().contains(r#""asDouble":1.0"#));
        for wrong in [r#""nan""#, r#""inf""#, r#""""#, "true"] {
            assert!(!point(wrong).is_ok_and(|json| json.contains("asDouble")), "{wrong}");
        }
        assert!(from_json::<ExportMetricsServiceRequest>(b"{} {}").is_err());
    }
}
