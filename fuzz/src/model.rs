//! What the encoders must come to, in the words of opentelemetry-proto.

use std::fmt::Debug;
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1 as resource;
use otel_rs_core::otlp::{Attributes, Resource, Scalar, Scope};
use prost::Message;

use super::input::{Input, key_value};

/// NaN included, which `==` would find unequal to itself.
pub fn assert_same<M: Message + Debug>(decoded: &M, expected: &M) {
    let same = decoded.encode_to_vec() == expected.encode_to_vec();
    assert!(same, "we wrote\n{decoded:?}\nand it should have been\n{expected:?}");
}

pub fn assert_decodes_to<M: Message + Default + Debug>(encoded: &[u8], expected: &M) {
    assert_same(&M::decode(encoded).expect("what we write is well-formed"), expected);
}

/// `Attributes`, beside an account of them that is too simple to be wrong.
pub struct Pair {
    pub ours: Attributes,
    pub expected: Vec<(KeyValue, bool)>,
    pub dropped: u32,
    /// Of how many values a hash has; few, so that keys share one.
    hashes: u64,
}

impl Pair {
    pub fn new(field: u8, limit: Option<usize>, hashes: u64) -> Self {
        Self { ours: Attributes::new(field, limit), expected: Vec::new(), dropped: 0, hashes }
    }

    /// A few attributes that the input chooses.
    pub fn read(input: &mut Input<'_>, field: u8) -> Self {
        let limit = input.maybe(|input| input.below(6));
        let mut pair = Self::new(field, limit, input.number().max(1));
        (0..input.below(8)).for_each(|_| pair.set(input));
        pair
    }

    pub fn set(&mut self, input: &mut Input<'_>) {
        let (key, value, lossy) = (input.text(), input.any_value(), input.flag());
        let hash = key.bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) % self.hashes;
        let encoded = value.encode_to_vec();
        let in_room = if lossy {
            self.ours.set(&key, hash, &encoded, lossy)
        } else {
            self.ours.try_set_scalar(&key, hash, Scalar::of_message(&encoded)).expect("there is memory")
        };
        let limit = self.ours.limit().unwrap_or(usize::MAX);
        self.expected.retain(|(attribute, _)| attribute.key != key);
        assert_eq!(in_room, self.expected.len() < limit);
        self.expected.push((key_value((key, value)), lossy));
        if self.expected.len() > limit {
            self.expected.remove(0);
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    pub fn clear(&mut self) {
        self.ours.clear();
        self.expected.clear();
        self.dropped = 0;
    }

    pub fn key_values(&self) -> Vec<KeyValue> {
        self.expected.iter().map(|(attribute, _)| attribute.clone()).collect()
    }
}

/// Some scopes of some resources. No two scopes are alike; resources may be.
pub fn scopes(input: &mut Input<'_>) -> Vec<Arc<Scope>> {
    let count = 1 + input.below(3);
    let resources: Vec<_> = (0..count).map(|_| read_resource(input)).collect();
    let count = 1 + input.below(5);
    (0..count).map(|number| read_scope(input, number, &resources[number % resources.len()])).collect()
}

fn read_resource(input: &mut Input<'_>) -> Arc<Resource> {
    let attributes = input.maybe(|input| key_value((input.text(), input.any_value()))).into_iter().collect();
    let message = resource::Resource { attributes, ..Default::default() }.encode_to_vec();
    Arc::new(Resource { message, schema_url: schema_url(input) })
}

fn read_scope(input: &mut Input<'_>, number: usize, resource: &Arc<Resource>) -> Arc<Scope> {
    let scope = InstrumentationScope { name: number.to_string(), version: input.text(), ..Default::default() };
    let schema_url = schema_url(input);
    Arc::new(Scope { resource: Arc::clone(resource), message: scope.encode_to_vec(), schema_url })
}

fn schema_url(input: &mut Input<'_>) -> String {
    input.maybe(Input::text).unwrap_or_default()
}

pub fn resource_of(scope: &Scope) -> (Option<resource::Resource>, String) {
    let resource = resource::Resource::decode(&*scope.resource.message).expect("encoded above");
    (Some(resource), scope.resource.schema_url.clone())
}

pub fn scope_of(scope: &Scope) -> (Option<InstrumentationScope>, String) {
    (Some(InstrumentationScope::decode(&*scope.message).expect("encoded above")), scope.schema_url.clone())
}
