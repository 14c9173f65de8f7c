//! Why the server's certificate was refused, in words that say whose fault it is and what to do.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::certificate::{Description, date};

#[derive(Clone, Debug)]
pub struct Refusal {
    /// Our words.
    pub what: String,
    /// The server's: whose certificate it is, by its own account. Untrusted.
    pub whose: String,
}

tokio::task_local! {
    /// The verifier's word to the one who connects: rustls carries no more than its own kinds of errors, and the server
    /// is told of those.
    static REFUSAL: RefCell<Option<Refusal>>;
}

/// What `handshake` returns, and why the verifier has refused the server's certificate, if it has.
pub async fn noted<F: Future>(handshake: F) -> (F::Output, Option<Refusal>) {
    let noted = async {
        let output = handshake.await;
        (output, REFUSAL.with(RefCell::take))
    };
    REFUSAL.scope(RefCell::new(None), noted).await
}

pub fn note(error: &CertificateError, certificate: &CertificateDer<'_>, trusted: &str) {
    let description = Description::of(certificate);
    let what = what(error, description.as_ref(), trusted);
    let mut whose = description.map(|description| description.to_string()).unwrap_or_default();
    if let CertificateError::NotValidForNameContext { presented, .. } = error
        && !presented.is_empty()
    {
        let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
        whose = format!("it is for {}; {whose}", names.join(", "));
    }
    // Outside of a handshake nobody asks.
    let _ = REFUSAL.try_with(|refusal| refusal.replace(Some(Refusal { what, whose })));
}

fn what(error: &CertificateError, description: Option<&Description>, trusted: &str) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, InvalidPurposeContext, NotValidForNameContext, NotValidYetContext,
        Other, Revoked, UnknownIssuer, UnsupportedSignatureAlgorithmContext,
        UnsupportedSignatureAlgorithmForPublicKeyContext,
    };
    match error {
        UnknownIssuer => unknown_issuer(description, trusted),
        ExpiredContext { not_after, .. } => {
            let not_after = since_epoch(*not_after);
            let whose = match description.is_some_and(|description| description.not_after != not_after) {
                true => "the issuer's",
                false => "the server's",
            };
            format!("{whose} certificate has expired on {}; the server needs a new one", date(not_after))
        }
        Expired => "the server's certificate, or one that it sends with it, has expired; the server needs a new one".to_owned(),
        NotValidYetContext { not_before, .. } => {
            let not_before = date(since_epoch(*not_before));
            format!("the server's certificate is valid from {not_before} on; if that is past, this machine's clock is wrong")
        }
        NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            match presented.is_empty() {
                true => format!(
                    "the server's certificate has no subjectAltName, and {expected} must be in it; the server needs \
                     another one"
                ),
                false => format!(
                    "the server's certificate is not for {expected}; the endpoint must have a name that is in it"
                ),
            }
        }
        InvalidPurposeContext { .. } => {
            "the server's certificate is not for servers: its extended key usage lacks serverAuth; the server needs another \
             one"
                .to_owned()
        }
        BadSignature => "the server's certificate has a wrong signature, or its RSA key or its issuer's has less than 2048 \
                         bits; the server needs another one"
            .to_owned(),
        UnsupportedSignatureAlgorithmContext { .. } | UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the server's certificate is signed in a way that is not supported, such as with SHA-1, Ed448, or an RSA key \
             of less than 2048 bits; the server needs another one"
                .to_owned()
        }
        Other(other) => match other.0.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::CaUsedAsEndEntity) if description.is_some_and(Description::is_self_signed) => {
                unknown_issuer(description, trusted)
            }
            Some(error) => by_webpki(error).to_owned(),
            None => NOT_UNDERSTOOD.to_owned(),
        },
        Revoked => "the server's certificate is revoked; the server needs a new one".to_owned(),
        _ => NOT_UNDERSTOOD.to_owned(),
    }
}

/// The libraries have names for what is left, and no words.
const NOT_UNDERSTOOD: &str = "the server's certificate is not well-formed, or of a kind that is not supported; the server \
                              needs another one";

fn unknown_issuer(description: Option<&Description>, trusted: &str) -> String {
    let remedy = "set OTEL_EXPORTER_OTLP_CERTIFICATE to a PEM file with";
    match description.is_some_and(Description::is_self_signed) {
        true => format!(
            "the server's certificate is self-signed and not among {trusted}; if it is to be trusted, {remedy} it"
        ),
        false => format!(
            "the server's certificate is not signed by one of {trusted}; if its authority is to be trusted, {remedy} the \
             authority's certificate"
        ),
    }
}

fn by_webpki(error: &webpki::Error) -> &'static str {
    match error {
        webpki::Error::CaUsedAsEndEntity => {
            "the server's certificate is an authority's (CA:TRUE); the server needs another one, or \
             OTEL_EXPORTER_OTLP_CERTIFICATE has to name a PEM file with this one in it"
        }
        webpki::Error::UnsupportedCertVersion => {
            "the server's certificate is not X.509 version 3, so it has no subjectAltName; the server needs another one"
        }
        webpki::Error::UnsupportedCriticalExtension => {
            "the server's certificate has a critical extension that is not known; the server needs another one"
        }
        _ => NOT_UNDERSTOOD,
    }
}

/// `DnsName("a.test")` without what is around the name.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner);
    inner.trim_end_matches(')').trim_matches('"')
}

fn since_epoch(time: UnixTime) -> Duration {
    Duration::from_secs(time.as_secs())
}
