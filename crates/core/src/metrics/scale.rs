//! Which exponential bucket a value belongs to: bucket `i` of scale `s` holds the values in `(b^i, b^(i+1)]` with
//! `b = 2^(2^-s)` (OpenTelemetry's metrics data model, "Exponential Scale").

const MANTISSA_BITS: u32 = f64::MANTISSA_DIGITS - 1;
const MIN_EXPONENT: i64 = (f64::MIN_EXP - 1) as i64;
const MAX_EXPONENT: i64 = (f64::MAX_EXP - 1) as i64;

pub const MIN_SCALE: i32 = -10;
pub const MAX_SCALE: i32 = 20;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub scale: i32,
    /// Buckets for each power of e; for positive scales.
    factor: f64,
}

impl Scale {
    /// `scale` is from `MIN_SCALE` to `MAX_SCALE`.
    pub fn new(scale: i32) -> Self {
        // Not `powi`, whose last bits are not specified.
        Self { scale, factor: (1.0 / 2f64.ln()) * f64::from(1u32 << scale.max(0)) }
    }

    /// The bucket of a positive, finite value. All below the normal numbers are in one bucket.
    #[inline]
    pub fn bucket(&self, value: f64) -> i64 {
        if self.scale > 0 { self.by_logarithm(value) } else { self.by_exponent(value) }
    }

    fn by_exponent(&self, value: f64) -> i64 {
        let shift = -self.scale;
        if value < f64::MIN_POSITIVE {
            let lowest = MIN_EXPONENT >> shift;
            // Where a bucket ends at the smallest normal number, what is below it is in the bucket before.
            return if shift < 2 { lowest - 1 } else { lowest };
        }
        (exponent(value) - i64::from(is_power_of_two(value))) >> shift
    }

    fn by_logarithm(&self, value: f64) -> i64 {
        if value <= f64::MIN_POSITIVE {
            return (MIN_EXPONENT << self.scale) - 1;
        }
        if is_power_of_two(value) {
            // The logarithm may be off by a bit, and a bucket's bound belongs to the bucket below it.
            return (exponent(value) << self.scale) - 1;
        }
        let highest = ((MAX_EXPONENT + 1) << self.scale) - 1;
        ((value.ln() * self.factor).floor() as i64).min(highest)
    }
}

fn exponent(value: f64) -> i64 {
    (value.to_bits() >> MANTISSA_BITS & 0x7ff) as i64 - MAX_EXPONENT
}

fn is_power_of_two(value: f64) -> bool {
    value.to_bits() & ((1 << MANTISSA_BITS) - 1) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_of_two_ends_its_bucket() {
        for scale in MIN_SCALE..=MAX_SCALE {
            let scale = Scale::new(scale);
            for exponent in (-1021..=1023).step_by(if cfg!(miri) { 73 } else { 1 }) {
                let bound = f64::from_bits(((exponent + MAX_EXPONENT) as u64) << MANTISSA_BITS);
                let bucket = scale.bucket(bound);
                assert!(scale.bucket(bound * 0.75) <= bucket, "{exponent} {scale:?}");
                assert!(scale.bucket(bound * 1.25) >= bucket, "{exponent} {scale:?}");
                if scale.scale >= 0 {
                    assert_eq!(bucket, (exponent << scale.scale) - 1);
                }
                if scale.scale == 0 {
                    assert_eq!(scale.bucket(bound.next_up()), bucket + 1, "{exponent}");
                }
            }
        }
    }

    #[test]
    fn a_lower_scale_joins_two_buckets_to_one() {
        for scale in MIN_SCALE + 1..=MAX_SCALE {
            for value in [1e-300, 0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 1e9, f64::MAX, f64::MIN_POSITIVE * 3.0] {
                assert_eq!(
                    Scale::new(scale).bucket(value) >> 1,
                    Scale::new(scale - 1).bucket(value),
                    "{value} {scale}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_normal_has_a_bucket() {
        assert_eq!(Scale::new(0).bucket(1e-310), -1023);
        assert_eq!(Scale::new(-1).bucket(1e-310), -512);
        assert_eq!(Scale::new(-10).bucket(1e-310), -1);
        assert_eq!(Scale::new(1).bucket(1e-310), -2045);
    }
}
