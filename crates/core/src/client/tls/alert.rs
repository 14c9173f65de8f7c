//! What a server's alert means. In TLS 1.3 it may come after the handshake, with the first answer.

pub struct Meaning {
    pub words: &'static str,
    /// The alert is about the certificate that the client shows.
    pub about_identity: bool,
}

/// What `error`, the text of a failure, means, if it is an alert. By its text, because h2 keeps no more of an error.
pub fn meaning(error: &str) -> Option<Meaning> {
    let refusal = |words| Some(Meaning { words, about_identity: true });
    let other = |words| Some(Meaning { words, about_identity: false });
    match error.strip_prefix("received fatal alert: ")? {
        "CertificateRequired" | "NoCertificate" => other(
            "the server wants a client certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and \
             OTEL_EXPORTER_OTLP_CLIENT_KEY",
        ),
        "HandshakeFailure" => other(
            "the server and this client have no cipher or kind of key in common, or the server wants a client certificate",
        ),
        "UnknownCA" => refusal("the server refuses the client's certificate: it does not trust its issuer"),
        "CertificateExpired" => refusal("the server refuses the client's certificate: it has expired"),
        "CertificateRevoked" => refusal("the server refuses the client's certificate: it is revoked"),
        "UnsupportedCertificate" => refusal(
            "the server refuses the client's certificate: its key or its purpose is not one that the server takes",
        ),
        "BadCertificate" | "CertificateUnknown" | "AccessDenied" | "DecryptError" => {
            refusal("the server refuses the client's certificate")
        }
        _ => None,
    }
}
