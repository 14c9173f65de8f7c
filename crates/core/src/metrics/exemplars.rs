//! Measurements that are kept beside a point as examples of it.

use crate::metrics::attribute_set::{AttributeSet, Item};
use crate::otlp::{Number, OutOfMemory};

/// A measurement in a context that an exemplar filter let through.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    pub value: Number,
    pub trace_and_span: Option<(u128, u64)>,
    /// All attributes of the measurement.
    pub attributes: &'a [Item<'a>],
}

pub struct Exemplar {
    pub value: Number,
    pub time_unix_nano: u64,
    pub trace_and_span: Option<(u128, u64)>,
    /// The attributes that the point does not have, as the exemplar's field; None if nothing had attributes.
    pub filtered_attributes: Option<AttributeSet>,
}

/// The field of an exemplar that its attributes go into.
const ATTRIBUTES: u8 = crate::otlp::EXEMPLAR_ATTRIBUTES;

impl Exemplar {
    /// None where there is no memory for its attributes.
    #[inline]
    fn new(offer: &Offer<'_>, time_unix_nano: u64, lacking: Option<&AttributeSet>) -> Option<Self> {
        let Offer { value, trace_and_span, attributes } = *offer;
        let filtered_attributes = match lacking {
            _ if attributes.is_empty() => None,
            None => Some(AttributeSet::default()),
            Some(point) => Some(filtered(attributes, point).ok()?),
        };
        Some(Self { value, time_unix_nano, trace_and_span, filtered_attributes })
    }
}

#[cold]
fn filtered(attributes: &[Item<'_>], point: &AttributeSet) -> Result<AttributeSet, OutOfMemory> {
    let filtered: Vec<Item<'_>> = attributes.iter().filter(|item| !point.has(item.key)).copied().collect();
    // Nobody looks for it by its hash.
    AttributeSet::new(&filtered, 0, ATTRIBUTES)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservoirKind {
    /// The last measurement of each bucket of an explicit histogram.
    AlignedWithBuckets,
    /// So many, each of the measurements with the same chance.
    FixedSize(usize),
}

/// The exemplars since the last collection.
pub struct Reservoir {
    kind: ReservoirKind,
    kept: Vec<Option<Exemplar>>,
    /// How many were offered since; one that is aligned with buckets does not count beyond the first.
    seen: u64,
    random: u64,
}

impl Reservoir {
    pub fn new(kind: ReservoirKind, seed: u64) -> Self {
        Self { kind, kept: Vec::new(), seen: 0, random: seed }
    }

    /// `bucket` is that of the value, in a histogram that has buckets; `now` is called if the measurement is kept;
    /// `lacking` is the point's attributes if it lacks some of the measurement's, and None if it has them all.
    #[inline]
    pub fn offer(
        &mut self,
        offer: &Offer<'_>,
        bucket: usize,
        lacking: Option<&AttributeSet>,
        now: impl FnOnce() -> u64,
    ) {
        let place = match self.kind {
            ReservoirKind::AlignedWithBuckets => {
                self.seen = 1;
                bucket
            }
            ReservoirKind::FixedSize(size) => {
                self.seen += 1;
                let place = if self.seen <= size as u64 { self.seen - 1 } else { self.random_below(self.seen) };
                if place >= size as u64 {
                    return;
                }
                place as usize
            }
        };
        if self.kept.len() <= place {
            self.kept.resize_with(place + 1, || None);
        }
        if let Some(exemplar) = Exemplar::new(offer, now(), lacking) {
            self.kept[place] = Some(exemplar);
        }
    }

    pub fn collect(&mut self) -> Vec<Exemplar> {
        if std::mem::take(&mut self.seen) == 0 {
            return Vec::new();
        }
        self.kept.iter_mut().filter_map(Option::take).collect()
    }

    /// SplitMix64: any generator will do for which of many measurements is shown.
    fn random_below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(mixed ^ (mixed >> 31)) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::attribute_set::Scalar;

    fn offer(value: i64) -> Offer<'static> {
        Offer { value: Number::Int(value), trace_and_span: Some((1, 2)), attributes: &[] }
    }

    fn values(exemplars: &[Exemplar]) -> Vec<Number> {
        exemplars.iter().map(|exemplar| exemplar.value).collect()
    }

    #[test]
    fn the_last_of_each_bucket_is_kept_until_the_collection() {
        let mut reservoir = Reservoir::new(ReservoirKind::AlignedWithBuckets, 1);
        for (value, bucket) in [(0, 0), (5, 1), (1, 0), (11, 2), (10, 1)] {
            reservoir.offer(&offer(value), bucket, None, || 1);
        }
        assert_eq!(values(&reservoir.collect()), [1, 10, 11].map(Number::Int));
        assert!(reservoir.collect().is_empty());
    }

    #[test]
    fn each_of_many_has_the_same_chance() {
        const COLLECTIONS: u32 = if cfg!(miri) { 50 } else { 5000 };
        let mut kept = [0u32; 10];
        let mut reservoir = Reservoir::new(ReservoirKind::FixedSize(2), 7);
        for _ in 0..COLLECTIONS {
            (0..10).for_each(|value| reservoir.offer(&offer(value), 0, None, || 1));
            for value in values(&reservoir.collect()) {
                let Number::Int(value) = value else { panic!("an integer was measured") };
                kept[value as usize] += 1;
            }
        }
        // Of a few of Miri's it says nothing.
        let range = if cfg!(miri) { 0..COLLECTIONS } else { 800..1200 };
        assert!(kept.iter().all(|count| range.contains(count)), "{kept:?}");
    }

    #[test]
    fn attributes_of_the_point_are_left_out() {
        let items = [Item { key: "a", value: Scalar::Int(1) }, Item { key: "b", value: Scalar::Int(2) }];
        let point = AttributeSet::new(&items[..1], 0, 7).unwrap();
        let filtered = |attributes, lacking| {
            let exemplar = Exemplar::new(&Offer { attributes, ..offer(1) }, 1, lacking).unwrap();
            exemplar.filtered_attributes.map(|set| ["a", "b"].map(|key| set.has(key)))
        };
        assert_eq!(filtered(&items, Some(&point)), Some([false, true]));
        assert_eq!(filtered(&items, None), Some([false, false]));
        assert_eq!(filtered(&[], None), None);
    }
}
