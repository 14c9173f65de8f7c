//! The bounds of a batch processor.

use std::time::Duration;

/// The bounds of a pipeline; the first four are those of the specification's batching processor.
#[derive(Clone, Debug)]
pub struct BatchProcessorConfig {
    pub max_queue_size: usize,
    pub schedule_delay: Duration,
    pub max_export_batch_size: usize,
    pub export_timeout: Duration,
    /// Framed bytes that may wait, whatever their number.
    pub max_queue_bytes: usize,
    /// Length of a request, uncompressed, from which on a batch is closed before it has its number of spans.
    pub max_request_bytes: usize,
    /// Exports under way at a time, one or more.
    pub max_concurrent_exports: usize,
}
