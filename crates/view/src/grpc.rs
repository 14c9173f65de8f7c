//! OTLP/gRPC: the three services a collector offers.
//!
//! Their calls have one message each way, which is little to frame. tonic's services would decode a message before
//! anybody can say what it decodes to.

use std::future::ready;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tonic::{Code, Status};

use crate::answer::{Answer, whole};
use crate::body::Body;
use crate::call::{Call, Compression, Encoding, Signal, is_grpc};
use crate::refusal::Refusal;

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// Whether it is compressed, and the message's length in 4 bytes.
const PREFIX_BYTES: usize = 5;

/// What is called, from a request's head. `http` says where OTLP/HTTP is taken, for a peer that is wrong here.
pub fn call(head: &Parts, http: &str) -> Result<Call, Refusal> {
    if !is_grpc(&head.headers) {
        let message = format!("this port takes OTLP/gRPC; {http}");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, message));
    }
    let unimplemented = |message: String| Refusal::new(StatusCode::OK, Code::Unimplemented, message);
    let signal = match head.uri.path() {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Signal::Traces,
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Signal::Metrics,
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Signal::Logs,
        _ => {
            let services = "the services of opentelemetry.proto.collector for traces, metrics and logs are here";
            return Err(unimplemented(format!("no such method: {services}; an endpoint has no path")));
        }
    };
    let coding = head.headers.get(ENCODING).map_or("", |value| value.to_str().unwrap_or("?"));
    let compression = Compression::named(coding).ok_or_else(|| {
        unimplemented(format!("grpc-encoding is {coding}: it must be one of {}, or absent", Compression::NAMES))
    })?;
    Ok(Call { signal, encoding: Encoding::Protobuf, compression })
}

/// The one message of a request's body, and what is called with it: single messages may be sent uncompressed.
pub fn message(call: Call, body: Body) -> Result<(Call, Body), Refusal> {
    let &[compressed, a, b, c, d, ref message @ ..] = body.bytes() else {
        return Err(Refusal::undecodable("it is no gRPC message"));
    };
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() || compressed > 1 {
        return Err(Refusal::undecodable("it is not one gRPC message"));
    }
    let compression = if compressed == 1 { call.compression } else { Compression::None };
    Ok((Call { compression, ..call }, body.slice_from(PREFIX_BYTES)))
}

/// An export response without `partial_success`, which is the same for every signal: an empty message.
pub fn accepted() -> Answer {
    let trailers = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
    let message = Full::new(Bytes::from_static(&[0; PREFIX_BYTES])).with_trailers(ready(Some(Ok(trailers))));
    let mut answer = Response::new(message.boxed_unsync());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}

pub fn refused(refusal: Refusal) -> Answer {
    let mut answer = Status::new(refusal.grpc, refusal.message).into_http::<()>().map(|()| whole(Bytes::new()));
    match refusal.grpc {
        // What a page in a browser sees must not be a success.
        Code::PermissionDenied => *answer.status_mut() = refusal.http,
        Code::Unimplemented => {
            answer.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity,gzip,deflate,zstd"));
        }
        _ => {}
    }
    answer
}
