//! Where threads that measure and threads that collect meet. What a series is made of has no threads.

#[path = "../../../src/metrics/series_map.rs"]
#[allow(dead_code)]
pub mod series_map;
#[path = "../../../src/metrics/stream.rs"]
#[allow(dead_code)]
pub mod stream;

#[path = "../../../src/metrics/points.rs"]
#[allow(dead_code)]
mod points;

pub use points::{metric, put_metric};
pub use stream::{Reader, Stream};

pub mod attribute_set {
    pub use otel_rs_core::metrics::{AttributeSet, Item, Scalar, hash_of};
}
pub mod exemplars {
    pub use otel_rs_core::metrics::{Exemplar, Offer, Reservoir, ReservoirKind};
}
pub mod explicit_histogram {
    pub use otel_rs_core::metrics::{ExplicitHistogram, ExplicitPoint};
}
pub mod exponential_buckets {
    pub use otel_rs_core::metrics::ExponentialBuckets;
}
pub mod exponential_histogram {
    pub use otel_rs_core::metrics::{ExponentialHistogram, ExponentialPoint, ExponentialSettings};
}
pub mod sum {
    pub use otel_rs_core::metrics::{LastValue, Sum};
}
pub mod summary {
    pub use otel_rs_core::metrics::Summary;
}
pub mod temporality {
    pub use otel_rs_core::metrics::Temporality;
}
