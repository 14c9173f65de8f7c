//! `otlp::attributes`: the newest of each key, in the order of setting, within the limit.

use opentelemetry_proto::tonic::trace::v1::Span;
use otel_rs_core::otlp::SPAN_ATTRIBUTES;
use prost::Message;

use super::input::Input;
use super::model::{Pair, assert_decodes_to};

pub fn attributes(data: &[u8]) {
    let mut input = Input::of(data);
    let limit = input.maybe(|input| input.byte().into());
    let mut pair = Pair::new(SPAN_ATTRIBUTES, limit, input.number().max(1));
    while !input.is_empty() {
        let before = pair.ours.version();
        match input.byte() {
            0 => pair.clear(),
            1 => pair.ours.reserve(input.byte().into()),
            2 => {
                let count = input.number() as u32;
                pair.ours.count_dropped(count);
                pair.dropped = pair.dropped.saturating_add(count);
            }
            3 => says(&pair),
            // Many short ones, so that the keys get an index.
            4 => (0..64).for_each(|number| pair.set(&mut Input::of(&[0x82, number, number ^ 0x55, 1]))),
            _ => {
                pair.set(&mut input);
                assert!(pair.ours.version() != before || limit == Some(0));
            }
        }
    }
    says(&pair);
}

fn says(pair: &Pair) {
    let Pair { ours, expected, dropped, .. } = pair;
    assert_eq!((ours.len(), ours.is_empty(), ours.dropped()), (expected.len(), expected.is_empty(), *dropped));
    let mut written = Vec::new();
    ours.write(&mut written);
    assert_eq!(written.len(), ours.wire_len());
    assert_decodes_to(&written, &Span { attributes: pair.key_values(), ..Default::default() });
    assert_eq!(ours.iter().count(), expected.len());
    for (attribute, (key_value, lossy)) in ours.iter().zip(expected) {
        assert_eq!((attribute.key, attribute.lossy), (&*key_value.key, *lossy));
        assert_eq!(attribute.value, key_value.value.as_ref().map(Message::encode_to_vec).unwrap_or_default());
    }
}
