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
use crate::otlp::{self, OutOfMemory, Output, make_room};

/// A decoded request is about so many times as long as the encoded one.
const DECODED: usize = 3;

pub(super) fn to_json(signal: Signal, request: Bytes) -> Result<Bytes, Failure> {
    match signal {
        Signal::Traces => transcoded::<ExportTraceServiceRequest>(request),
        Signal::Metrics => transcoded::<ExportMetricsServiceRequest>(request),
        Signal::Logs => transcoded::<ExportLogsServiceRequest>(request),
    }
}

fn transcoded<M: Message + Default + Serialize>(request: Bytes) -> Result<Bytes, Failure> {
    let unusable = |error: String| Failure::new("the request cannot be written as JSON", error, Retry::Never);
    // Decoding ends the process where it finds no memory: its parts are small, but for texts, and all of them may be.
    make_room(&mut Vec::new(), request.len().saturating_mul(DECODED)).map_err(|OutOfMemory| Failure::no_memory())?;
    let message = M::decode(request).map_err(|error| unusable(error.to_string()))?;
    let mut json = Output(Vec::new());
    match otlp::write_json(&message, &mut json) {
        Ok(()) => Ok(json.0.into()),
        Err(error) if error.is_io() => Err(Failure::no_memory()),
        Err(error) => Err(unusable(error.to_string())),
    }
}
