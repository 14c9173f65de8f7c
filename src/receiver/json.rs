//! A request as one line of OTLP/JSON.

use super::intake::Export;
use crate::otlp::json;

/// The request as a single line, without its line end. serde_json escapes control characters.
pub fn line(export: &Export) -> serde_json::Result<String> {
    match export {
        Export::Traces(request) => json::to_string(request),
        Export::Metrics(request) => json::to_string(request),
        Export::Logs(request) => json::to_string(request),
    }
}
