//! How a peer's answer is read, without a peer: for fuzzing.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::failure::Failure;
use super::grpc;
use super::outcome::Outcome;
use super::redaction::Redaction;
use super::response::{Accepted, Format};

/// The outcome of an HTTP answer with this status, content type, `Retry-After` and body. None if it is no valid HTTP.
pub fn http_answer(status: u16, content_type: &[u8], retry_after: &[u8], body: &[u8]) -> Option<Outcome> {
    let status = http::StatusCode::from_u16(status).ok()?;
    let headers = headers([(CONTENT_TYPE, content_type), (RETRY_AFTER, retry_after)])?;
    let body = Bytes::copy_from_slice(body);
    Some(outcome(super::http::conclude(status, &headers, body, Format::Protobuf)))
}

/// The outcome of a gRPC answer with this status, message, details (in both of their forms) and response. None if it is
/// no valid HTTP.
pub fn grpc_answer(status: &[u8], message: &[u8], details: &[u8], response: &[u8]) -> Option<Outcome> {
    let name = HeaderName::from_static;
    let fields = [
        (name("grpc-status"), status),
        (name("grpc-message"), message),
        (name("grpc-status-details-bin"), details),
        (name("google.rpc.retryinfo-bin"), details),
    ];
    Some(outcome(grpc::conclude(headers(fields)?, Bytes::copy_from_slice(response), None)))
}

fn headers<const N: usize>(fields: [(HeaderName, &[u8]); N]) -> Option<HeaderMap> {
    let fields = fields.into_iter().map(|(name, value)| Some((name, HeaderValue::from_bytes(value).ok()?)));
    fields.collect()
}

fn outcome(result: Result<Accepted, Failure>) -> Outcome {
    let redaction = Redaction::of(["s3cret"]);
    match result {
        Ok(Accepted { rejected, message }) => Outcome::Delivered { rejected, message: redaction.one_line(&message) },
        Err(failure) => {
            let reason = format!("{}: {}", failure.what, redaction.one_line(&failure.detail));
            Outcome::of(&failure, reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf8_in_a_message_is_shown_as_far_as_it_can_be() {
        for message in [&b"caf\xe9 closed"[..], b"caf%E9%20closed", b"caf%e9 closed"] {
            let Some(Outcome::Failed { reason, .. }) = grpc_answer(b"13", message, b"", b"") else { panic!() };
            assert_eq!(reason, "INTERNAL: caf\u{fffd} closed");
        }
        let status = b"\x12\x0bcaf\xe9 closed";
        let Some(Outcome::Failed { reason, .. }) = http_answer(400, b"application/x-protobuf", b"", status) else {
            panic!()
        };
        assert_eq!(reason, "HTTP 400 Bad Request: caf\u{fffd} closed");
    }

    /// Every prefix, and every byte changed, of answers that use all there is to parse.
    #[test]
    fn no_answer_panics() {
        let json = br#"{"partialSuccess":{"rejectedSpans":"7","errorMessage":"s3cret"}}"#;
        let protobuf = b"\x0a\x0a\x08\x07\x12\x06s3cret";
        let framed = [b"\0\0\0\0\x0c", &protobuf[..]].concat();
        for (content_type, body) in [("application/json", &json[..]), ("application/x-protobuf", &protobuf[..])] {
            for body in variations(body) {
                for status in [200, 400, 413, 429, 503] {
                    let outcome = http_answer(status, content_type.as_bytes(), b"1", &body);
                    assert!(!format!("{outcome:?}").contains("s3cret"));
                }
            }
        }
        for response in variations(&framed) {
            for status in ["0", "8", "14", "99", ""] {
                for details in variations(b"CggSBnMzY3JldA") {
                    grpc_answer(status.as_bytes(), b"s3cret%", &details, &response);
                }
            }
        }
    }

    fn variations(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        let prefixes = (0..=bytes.len()).map(|end| bytes[..end].to_vec());
        let changed = (0..bytes.len()).map(|index| {
            let mut changed = bytes.to_vec();
            changed[index] ^= 0x41;
            changed
        });
        prefixes.chain(changed)
    }
}
