//! OTLP/HTTP: `POST /v1/{traces,metrics,logs}`, protobuf or JSON, plain or gzip.
//!
//! Answers as the OTLP specification asks: in the encoding of the request, and a failure carries a `google.rpc.Status`.

use std::future::Future;
use std::io::Read;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use flate2::read::MultiGzDecoder;
use prost::Message;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tonic::Code;

use crate::error::ReceiverError;
use crate::intake::{Export, Intake};

#[derive(Clone)]
struct Endpoint {
    intake: Intake,
    max_request_bytes: usize,
}

pub async fn serve(
    listener: TcpListener,
    intake: Intake,
    max_request_bytes: usize,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ReceiverError> {
    let endpoint = Endpoint { intake, max_request_bytes };
    let router = Router::new()
        .route("/v1/traces", post(|endpoint, headers, body| receive(endpoint, headers, body, Export::Traces)))
        .route("/v1/metrics", post(|endpoint, headers, body| receive(endpoint, headers, body, Export::Metrics)))
        .route("/v1/logs", post(|endpoint, headers, body| receive(endpoint, headers, body, Export::Logs)))
        .layer(DefaultBodyLimit::max(max_request_bytes))
        .with_state(endpoint);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await
        .map_err(|error| ReceiverError::Serve { protocol: "http", message: error.to_string() })
}

#[derive(Clone, Copy)]
enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

struct Refusal {
    http: StatusCode,
    code: Code,
    message: String,
}

impl Refusal {
    fn new(http: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { http, code, message: message.into() }
    }

    fn too_large(max_request_bytes: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::ResourceExhausted,
            format!("the request is larger than {max_request_bytes} bytes"),
        )
    }
}

/// `google.rpc.Status`, the body of a failure in OTLP/HTTP.
#[derive(Clone, PartialEq, Message, serde::Serialize)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

async fn receive<R>(
    State(endpoint): State<Endpoint>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
    wrap: fn(R) -> Export,
) -> Response
where
    R: Message + Default + DeserializeOwned,
{
    let Some(encoding) = encoding(&headers) else {
        let message = "Content-Type must be application/x-protobuf or application/json";
        return failure(
            Encoding::Protobuf,
            Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, message),
        );
    };
    let outcome = async {
        let body = body.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refusal::too_large(endpoint.max_request_bytes),
            http => Refusal::new(http, Code::InvalidArgument, rejection.body_text()),
        })?;
        let request = decode(encoding, decompress(&headers, body, endpoint.max_request_bytes)?)?;
        endpoint
            .intake
            .accept(wrap(request))
            .await
            .map_err(|_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, "otel-rs view is ending"))
    };
    match outcome.await {
        Ok(()) => success(encoding),
        Err(refusal) => failure(encoding, refusal),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?").trim())
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let media_type = header(headers, &CONTENT_TYPE)?.split(';').next().unwrap_or_default().trim();
    [Encoding::Protobuf, Encoding::Json]
        .into_iter()
        .find(|encoding| media_type.eq_ignore_ascii_case(encoding.content_type()))
}

fn decompress(headers: &HeaderMap, body: Bytes, max_request_bytes: usize) -> Result<Bytes, Refusal> {
    match header(headers, &CONTENT_ENCODING) {
        None | Some("") => Ok(body),
        Some(coding) if coding.eq_ignore_ascii_case("identity") => Ok(body),
        Some(coding) if coding.eq_ignore_ascii_case("gzip") => {
            let mut plain = Vec::new();
            // One byte more than allowed tells "too large" from "exactly as large as allowed".
            MultiGzDecoder::new(&body[..]).take(max_request_bytes as u64 + 1).read_to_end(&mut plain).map_err(
                |error| Refusal::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, format!("bad gzip: {error}")),
            )?;
            if plain.len() > max_request_bytes {
                return Err(Refusal::too_large(max_request_bytes));
            }
            Ok(plain.into())
        }
        Some(_) => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::InvalidArgument,
            "Content-Encoding must be gzip or absent",
        )),
    }
}

fn decode<R: Message + Default + DeserializeOwned>(encoding: Encoding, body: Bytes) -> Result<R, Refusal> {
    let undecodable = |error: String| Refusal::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, error);
    match encoding {
        Encoding::Protobuf => R::decode(body).map_err(|error| undecodable(error.to_string())),
        Encoding::Json => serde_json::from_slice(&body).map_err(|error| undecodable(error.to_string())),
    }
}

/// An export response without `partial_success`, which is the same for every signal: no bytes, or an empty object.
fn success(encoding: Encoding) -> Response {
    let body = match encoding {
        Encoding::Protobuf => "",
        Encoding::Json => "{}",
    };
    (StatusCode::OK, [(CONTENT_TYPE, encoding.content_type())], body).into_response()
}

fn failure(encoding: Encoding, refusal: Refusal) -> Response {
    let status = RpcStatus { code: refusal.code as i32, message: refusal.message };
    let body = match encoding {
        Encoding::Protobuf => status.encode_to_vec(),
        Encoding::Json => serde_json::to_vec(&status).unwrap_or_default(),
    };
    (refusal.http, [(CONTENT_TYPE, encoding.content_type())], body).into_response()
}
