//! Sums and comparisons of measured numbers, as Python makes them: integers stay integers until a float joins them.

use std::cmp::Ordering;

use crate::otlp::Number;

impl Number {
    pub const ZERO: Self = Self::Int(0);

    #[inline]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }

    /// An integer that does not fit becomes a double: OTLP has no larger ones.
    #[inline]
    pub fn plus(self, other: Self) -> Self {
        self.combined(other, i64::checked_add, |a, b| a + b)
    }

    #[inline]
    pub fn minus(self, other: Self) -> Self {
        self.combined(other, i64::checked_sub, |a, b| a - b)
    }

    #[inline]
    fn combined(self, other: Self, ints: fn(i64, i64) -> Option<i64>, doubles: fn(f64, f64) -> f64) -> Self {
        if let (Self::Int(a), Self::Int(b)) = (self, other)
            && let Some(result) = ints(a, b)
        {
            return Self::Int(result);
        }
        Self::Double(doubles(self.as_f64(), other.as_f64()))
    }

    /// Exact, also where no type holds both. NaN, which no instrument takes, equals everything.
    #[inline]
    pub fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Self::Int(a), Self::Double(b)) => compare(a, b),
            (Self::Double(a), Self::Int(b)) => compare(b, a).reverse(),
        }
    }
}

#[inline]
fn compare(a: i64, b: f64) -> Ordering {
    const EXACT: i64 = 1 << f64::MANTISSA_DIGITS;
    if (-EXACT..=EXACT).contains(&a) {
        return (a as f64).partial_cmp(&b).unwrap_or(Ordering::Equal);
    }
    compare_large(a, b)
}

/// For an integer beyond those that are doubles, too. Apart, so that no loop makes an i128 of `b` in advance.
#[cold]
fn compare_large(a: i64, b: f64) -> Ordering {
    // A double near `a` has no fraction, and one far away saturates beyond every i64.
    i128::from(a).cmp(&(b as i128))
}

#[cfg(test)]
mod tests {
    use super::Number::{Double, Int};
    use super::*;

    #[test]
    fn integers_stay_integers_until_a_float_joins_them_or_they_do_not_fit() {
        assert_eq!(Int(1).plus(Int(2)), Int(3));
        assert_eq!(Int(1).plus(Double(0.5)), Double(1.5));
        assert_eq!(Int(i64::MAX).plus(Int(1)), Double(9_223_372_036_854_775_808.0));
        assert_eq!(Int(5).minus(Int(7)), Int(-2));
    }

    #[test]
    fn comparing_is_exact() {
        let large = (1 << 53) + 1;
        assert_eq!(Int(large).compare(Double((1u64 << 53) as f64)), Ordering::Greater);
        assert_eq!(Double((1u64 << 53) as f64).compare(Int(large)), Ordering::Less);
        assert_eq!(Int(i64::MAX).compare(Double(9_223_372_036_854_775_808.0)), Ordering::Less);
        assert_eq!(Int(i64::MIN).compare(Double(f64::NEG_INFINITY)), Ordering::Greater);
        assert_eq!(Int(0).compare(Double(-0.0)), Ordering::Equal);
    }
}
