//! OTLP/HTTP: `POST /v1/{traces,metrics,logs}`, protobuf or JSON, plain or compressed.
//!
//! Answers as the OTLP specification asks: in the encoding of the request, and a failure carries a `google.rpc.Status`.

use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use prost::Message;
use tonic::Code;

use crate::answer::{Answer, whole};
use crate::call::{Call, Compression, Encoding, Signal, is_grpc};
use crate::refusal::Refusal;

const PATHS: &str = "spans go to /v1/traces, metrics to /v1/metrics, logs to /v1/logs";

/// What is called, from a request's head. `grpc` says where OTLP/gRPC is taken, for a peer that is wrong here.
pub fn call(head: &Parts, grpc: &str) -> Result<Call, Refusal> {
    let signal = match head.uri.path() {
        "/v1/traces" => Signal::Traces,
        "/v1/metrics" => Signal::Metrics,
        "/v1/logs" => Signal::Logs,
        _ if is_grpc(&head.headers) => {
            let message = format!("this port takes OTLP/HTTP; {grpc}");
            return Err(Refusal::new(StatusCode::NOT_FOUND, Code::Unimplemented, message));
        }
        _ => return Err(Refusal::new(StatusCode::NOT_FOUND, Code::Unimplemented, format!("no such path: {PATHS}"))),
    };
    if head.method != Method::POST {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, "only POST is taken"));
    }
    let unsupported =
        |message: String| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, message);
    let encoding = encoding(&head.headers).ok_or_else(|| {
        let given = header(&head.headers, &CONTENT_TYPE).unwrap_or("absent");
        unsupported(format!("Content-Type is {given}: it must be application/x-protobuf or application/json"))
    })?;
    let coding = header(&head.headers, &CONTENT_ENCODING).unwrap_or_default();
    let compression = Compression::named(coding).ok_or_else(|| {
        unsupported(format!("Content-Encoding is {coding}: it must be one of {}, or absent", Compression::NAMES))
    })?;
    Ok(Call { signal, encoding, compression })
}

fn content_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?").trim())
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let media_type = header(headers, &CONTENT_TYPE)?.split(';').next().unwrap_or_default().trim();
    [Encoding::Protobuf, Encoding::Json]
        .into_iter()
        .find(|encoding| media_type.eq_ignore_ascii_case(content_type(*encoding)))
}

/// An export response without `partial_success`, which is the same for every signal: no bytes, or an empty object.
pub fn accepted(encoding: Encoding) -> Answer {
    let body = match encoding {
        Encoding::Protobuf => "",
        Encoding::Json => "{}",
    };
    answer(StatusCode::OK, content_type(encoding), body)
}

/// `google.rpc.Status`, the body of a failure in OTLP/HTTP.
#[derive(Clone, PartialEq, Message, serde::Serialize)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

pub fn refused(headers: &HeaderMap, refusal: Refusal) -> Answer {
    match refusal.http {
        // A person with a browser, or a sender of something else.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::FORBIDDEN => {
            let mut answer = answer(refusal.http, "text/plain; charset=utf-8", format!("{}\n", refusal.message));
            if refusal.http == StatusCode::METHOD_NOT_ALLOWED {
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            }
            answer
        }
        http => {
            let status = RpcStatus { code: refusal.grpc as i32, message: refusal.message };
            let encoding = encoding(headers).unwrap_or(Encoding::Protobuf);
            let body = match encoding {
                Encoding::Protobuf => status.encode_to_vec(),
                Encoding::Json => serde_json::to_vec(&status).unwrap_or_default(),
            };
            answer(http, content_type(encoding), body)
        }
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<bytes::Bytes>) -> Answer {
    let mut answer = Response::new(whole(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
