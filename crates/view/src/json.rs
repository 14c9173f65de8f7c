//! A request as one line of OTLP/JSON.

use crate::intake::Export;
use otel_rs_core::otlp::to_json;

/// The request as a single line, without its line end. serde_json escapes control characters.
pub fn line(export: &Export) -> serde_json::Result<String> {
    match export {
        Export::Traces(request) => to_json(request),
        Export::Metrics(request) => to_json(request),
        Export::Logs(request) => to_json(request),
    }
}
