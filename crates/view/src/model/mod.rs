//! What was received, apart from how it is shown: traces with their log records, other records, and metrics.

mod forest;
mod logs;
mod metrics;
mod traces;

pub use forest::{Forest, Parent, Row, Rows};
pub use logs::{OtherLogs, ReceivedLog, first_line, severity, split};
pub use metrics::{Metrics, Series, SeriesKey};
pub use traces::{ReceivedSpan, Trace, Traces};
