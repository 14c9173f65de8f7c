//! Sums and last values.

use crate::metrics::temporality::{Interval, Temporality};
use crate::otlp::Number;

/// As the Python SDK's `_SumAggregation`.
pub struct Sum {
    /// Since the last collection: None if nothing was measured.
    value: Option<Number>,
    previous: Number,
    interval: Interval,
    /// A synchronous instrument measures what is added; an observable one the whole.
    is_synchronous: bool,
}

impl Sum {
    pub fn new(is_synchronous: bool, now: u64) -> Self {
        Self { value: None, previous: Number::ZERO, interval: Interval::new(now), is_synchronous }
    }

    #[inline]
    pub fn add(&mut self, value: Number) {
        self.value = Some(self.value.unwrap_or(Number::ZERO).plus(value));
    }

    /// The start time and the value of the point, if there is one.
    pub fn collect(&mut self, temporality: Temporality, now: u64) -> Option<(u64, Number)> {
        let value = self.value.take();
        if !self.is_synchronous && value.is_none() {
            return None;
        }
        let start = self.interval.start(temporality, now);
        match (self.is_synchronous, temporality) {
            (true, Temporality::Delta) | (false, Temporality::Cumulative) => value.map(|value| (start, value)),
            (true, Temporality::Cumulative) => {
                self.previous = value.unwrap_or(Number::ZERO).plus(self.previous);
                Some((start, self.previous))
            }
            (false, Temporality::Delta) => value.map(|value| {
                let since = value.minus(self.previous);
                self.previous = value;
                (start, since)
            }),
        }
    }
}

/// As the Python SDK's `_LastValueAggregation`.
pub struct LastValue {
    value: Option<Number>,
    is_synchronous: bool,
}

impl LastValue {
    pub fn new(is_synchronous: bool) -> Self {
        Self { value: None, is_synchronous }
    }

    #[inline]
    pub fn set(&mut self, value: Number) {
        self.value = Some(value);
    }

    pub fn collect(&mut self, temporality: Temporality) -> Option<Number> {
        if self.is_synchronous && temporality == Temporality::Cumulative { self.value } else { self.value.take() }
    }
}

#[cfg(test)]
mod tests {
    use super::Number::{Double, Int};
    use super::*;

    #[test]
    fn a_synchronous_sum_adds_up() {
        let mut delta = Sum::new(true, 1);
        delta.add(Int(2));
        delta.add(Double(0.5));
        assert_eq!(delta.collect(Temporality::Delta, 10), Some((1, Double(2.5))));
        assert_eq!(delta.collect(Temporality::Delta, 20), None);
        delta.add(Int(4));
        assert_eq!(delta.collect(Temporality::Delta, 30), Some((20, Int(4))));

        let mut cumulative = Sum::new(true, 1);
        cumulative.add(Int(2));
        assert_eq!(cumulative.collect(Temporality::Cumulative, 10), Some((1, Int(2))));
        assert_eq!(cumulative.collect(Temporality::Cumulative, 20), Some((1, Int(2))));
    }

    #[test]
    fn an_observed_sum_is_the_whole() {
        let mut delta = Sum::new(false, 1);
        delta.add(Int(5));
        assert_eq!(delta.collect(Temporality::Delta, 10), Some((1, Int(5))));
        assert_eq!(delta.collect(Temporality::Delta, 20), None);
        delta.add(Int(8));
        assert_eq!(delta.collect(Temporality::Delta, 30), Some((10, Int(3))));

        let mut cumulative = Sum::new(false, 1);
        cumulative.add(Int(5));
        assert_eq!(cumulative.collect(Temporality::Cumulative, 10), Some((1, Int(5))));
        assert_eq!(cumulative.collect(Temporality::Cumulative, 20), None);
    }

    #[test]
    fn a_last_value_stays_only_where_it_was_set_and_is_cumulative() {
        for (is_synchronous, temporality, stays) in [
            (true, Temporality::Cumulative, true),
            (true, Temporality::Delta, false),
            (false, Temporality::Cumulative, false),
        ] {
            let mut last = LastValue::new(is_synchronous);
            last.set(Int(1));
            last.set(Int(7));
            assert_eq!(last.collect(temporality), Some(Int(7)));
            assert_eq!(last.collect(temporality), stays.then_some(Int(7)));
        }
    }
}
