//! What a server's alert means. In TLS 1.3 it may come after the handshake, with the first answer.

/// `error`, the text of a failure, is an alert about the certificate that the client shows, or does not show. By its
/// text, because h2 keeps no more of an error.
pub fn about_the_client(error: &str) -> Option<&'static str> {
    Some(match error.strip_prefix("received fatal alert: ")? {
        "CertificateRequired" | "NoCertificate" => {
            "the server wants a client certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and \
             OTEL_EXPORTER_OTLP_CLIENT_KEY"
        }
        "UnknownCA" => "the server refuses the client's certificate: it does not trust its issuer",
        "CertificateExpired" => "the server refuses the client's certificate: it has expired",
        "CertificateRevoked" => "the server refuses the client's certificate: it is revoked",
        "UnsupportedCertificate" => {
            "the server refuses the client's certificate: its key or its purpose is not one that the server takes"
        }
        "BadCertificate" | "CertificateUnknown" | "AccessDenied" | "DecryptError" => {
            "the server refuses the client's certificate"
        }
        _ => return None,
    })
}
