//! The page's server: who may read it has been checked; what it sends loads nothing from elsewhere.

use ::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use ::http::request::Parts;
use ::http::{HeaderValue, Method, Response, StatusCode};
use bytes::Bytes;
use tonic::Code;

use crate::answer::{Answer, whole};
use crate::intake::Intake;
use crate::question::Question;
use crate::refusal::Refusal;

/// Path, media type, and what it is.
const FILES: [(&str, &str, &str); 4] = [
    ("/", "text/html; charset=utf-8", include_str!("page.html")),
    ("/page.css", "text/css; charset=utf-8", include_str!("page.css")),
    ("/icon.svg", "image/svg+xml", include_str!("icon.svg")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page.js")),
];
const HEADERS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

pub async fn answer(head: &Parts, intake: &Intake) -> Result<Answer, Refusal> {
    if head.method != Method::GET && head.method != Method::HEAD {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, "this is a page: only GET"));
    }
    let path = head.uri.path();
    if let Some((_, media_type, text)) = FILES.iter().find(|(file, ..)| *file == path) {
        return Ok(response(media_type, Bytes::from_static(text.as_bytes())));
    }
    let question = Question::parse(path, head.uri.query().unwrap_or_default()).ok_or_else(|| {
        Refusal::new(StatusCode::NOT_FOUND, Code::Unimplemented, "there is no such page: / is the one")
    })?;
    let json = intake.ask(question).await.ok_or_else(|| Refusal::unavailable("otel-rs view is ending"))?;
    Ok(response("application/json", json.into()))
}

/// For a person with a browser.
pub fn refused(refusal: Refusal) -> Answer {
    let mut answer = response("text/plain; charset=utf-8", format!("{}\n", refusal.message).into());
    *answer.status_mut() = refusal.http;
    answer
}

fn response(media_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(whole(body));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    answer
}
