//! Answers of a peer that may send anything.

use otel_rs_core::client::{Outcome, parsers};

use super::input::Input;

/// Our words before the peer's, and the peer's as far as they are shown.
const MAX_CHARS: usize = 300;

/// Status, content type and `Retry-After`, and the rest is the body.
pub fn http_answer(data: &[u8]) {
    let mut input = Input::of(data);
    let status = match input.byte() {
        0 => 200,
        1 => 400,
        2 => 413,
        3 => 429,
        4 => 503,
        high => u16::from(high) << 2 | u16::from(input.byte() & 3),
    };
    let content_type = match input.byte() {
        0 => b"application/x-protobuf",
        1 => &b"application/json"[..],
        _ => input.bytes(),
    };
    let retry_after = input.bytes();
    fit_to_be_logged(parsers::http_answer(status, content_type, retry_after, input.rest()));
}

/// Status, message and details, and the rest is the response.
pub fn grpc_answer(data: &[u8]) {
    let mut input = Input::of(data);
    let (status, message, details) = (input.bytes(), input.bytes(), input.bytes());
    fit_to_be_logged(parsers::grpc_answer(status, message, details, input.rest()));
}

fn fit_to_be_logged(outcome: Option<Outcome>) {
    let Some(
        Outcome::Delivered { message: text, .. }
        | Outcome::TooLarge { reason: text, .. }
        | Outcome::Failed { reason: text, .. },
    ) = outcome
    else {
        return;
    };
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(!text.contains("s3cret"), "{text:?}");
    assert!(text.chars().count() <= MAX_CHARS, "{text:?}");
}
