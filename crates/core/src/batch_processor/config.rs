//! The bounds of a batch processor.

use std::time::Duration;

/// The bounds of a batch processor; the first four are those of the specification's batching processor.
#[derive(Clone, Debug)]
pub struct BatchProcessorConfig {
    pub max_queue_size: usize,
    pub schedule_delay: Duration,
    pub max_export_batch_size: usize,
    pub export_timeout: Duration,
    /// Framed bytes that may wait, whatever their number.
    pub max_queue_bytes: usize,
    /// Uncompressed length of a request at which a batch is closed before it is full.
    pub max_request_bytes: usize,
    /// Exports under way at a time, one or more.
    pub max_concurrent_exports: usize,
}
