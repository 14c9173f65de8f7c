//! Translates the protobuf requests that `otlp` writes into OTLP/JSON.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;

use super::config::Signal;
use super::failure::Failure;
use super::retry::Retry;
use crate::otlp;

pub(super) fn to_json(signal: Signal, request: Bytes) -> Result<Bytes, Failure> {
    match signal {
        Signal::Traces => transcoded::<ExportTraceServiceRequest>(request),
        Signal::Metrics => transcoded::<ExportMetricsServiceRequest>(request),
        Signal::Logs => transcoded::<ExportLogsServiceRequest>(request),
    }
}

fn transcoded<M: Message + Default + Serialize>(request: Bytes) -> Result<Bytes, Failure> {
    let unusable = |error: String| Failure::new("the request cannot be written as JSON", error, Retry::Never);
    let message = M::decode(request).map_err(|error| unusable(error.to_string()))?;
    let json = otlp::to_json(&message).map_err(|error| unusable(error.to_string()))?;
    Ok(json.into())
}
