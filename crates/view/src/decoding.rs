//! From a request's body to what it says, within bounds that hold before anything is allocated for it.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::de::DeserializeOwned;

use crate::call::{Call, Compression, Encoding, Signal};
use crate::doubles;
use crate::measure::{self, Unfit};
use crate::refusal::Refusal;

/// A decoded request.
pub enum Export {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
}

pub fn decompress(compression: Compression, body: Bytes, max_bytes: usize) -> Result<Bytes, Refusal> {
    /// zstd would give a frame a window of 128 MiB if it asks for one.
    const ZSTD_WINDOW_LOG_MAX: u32 = 24;
    let compressed = &body[..];
    match compression {
        Compression::None => return Ok(body),
        Compression::Gzip => read(MultiGzDecoder::new(compressed), max_bytes),
        // RFC 9110 means zlib's format; some senders leave its header out.
        Compression::Deflate if has_zlib_header(compressed) => read(ZlibDecoder::new(compressed), max_bytes),
        Compression::Deflate => read(DeflateDecoder::new(compressed), max_bytes),
        Compression::Zstd => zstd::Decoder::with_buffer(compressed).and_then(|mut decoder| {
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            read(decoder, max_bytes)
        }),
    }
    .map_err(|error| Refusal::undecodable(format!("bad {compression:?}: {error}")))?
    .ok_or_else(|| Refusal::too_large("the decompressed request", max_bytes))
}

fn has_zlib_header(compressed: &[u8]) -> bool {
    matches!(compressed, [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}

/// `None` if there is more than `max_bytes`.
fn read(decoder: impl Read, max_bytes: usize) -> io::Result<Option<Bytes>> {
    let mut plain = Vec::new();
    // One byte more than allowed tells "too large" from "exactly as large as allowed".
    decoder.take(max_bytes as u64 + 1).read_to_end(&mut plain)?;
    Ok((plain.len() <= max_bytes).then(|| plain.into()))
}

/// How many bytes the decoded request takes; a refusal if it must not be decoded.
pub fn measure(call: Call, plain: &[u8], max_bytes: usize) -> Result<usize, Refusal> {
    measure::decoded_bytes(call.signal, call.encoding, plain, max_bytes).map_err(|unfit| match unfit {
        Unfit::TooLarge => Refusal::too_large("the decoded request", max_bytes),
        Unfit::ArrayForObject => Refusal::undecodable("an array where an object belongs"),
    })
}

pub fn decode(call: Call, plain: Bytes) -> Result<Export, Refusal> {
    match call.signal {
        Signal::Traces => decode_as(call.encoding, plain).map(Export::Traces),
        Signal::Metrics => decode_as(call.encoding, plain).map(Export::Metrics),
        Signal::Logs => decode_as(call.encoding, plain).map(Export::Logs),
    }
}

fn decode_as<R: Message + Default + DeserializeOwned>(encoding: Encoding, plain: Bytes) -> Result<R, Refusal> {
    match encoding {
        Encoding::Protobuf => R::decode(plain).map_err(Refusal::undecodable),
        Encoding::Json => doubles::from_json(&plain).map_err(Refusal::undecodable),
    }
}
