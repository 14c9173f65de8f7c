//! What is measured: series of a metric, and how measurements become points.

#![forbid(unsafe_code)]

mod attribute_set;
mod exemplars;
mod explicit_histogram;
mod exponential_buckets;
mod exponential_histogram;
mod number;
mod points;
mod scale;
mod series_map;
mod stream;
mod sum;
mod summary;
mod temporality;

pub use attribute_set::{AttributeSet, Item, Scalar, hash_of};
pub use exemplars::{Exemplar, Offer, Reservoir, ReservoirKind};
pub use explicit_histogram::{ExplicitHistogram, ExplicitPoint, bucket_of};
pub use exponential_buckets::ExponentialBuckets;
pub use exponential_histogram::{ExponentialHistogram, ExponentialPoint, ExponentialSettings};
pub use points::{metric, put_metric};
pub use scale::{MAX_SCALE, MIN_SCALE};
pub use series_map::{Series, SeriesMap};
pub use stream::{Aggregation, Budget, Collected, Point, Reader, Shape, Stream};
pub use sum::{LastValue, Sum};
pub use summary::Summary;
pub use temporality::{Interval, Temporality};
