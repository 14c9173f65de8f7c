//! What an error of TLS means, in words that say what to change. A server's alert may come after the handshake in TLS 1.3,
//! with the first answer.

pub struct Meaning {
    pub words: &'static str,
    /// The server has refused the certificate that the client shows.
    pub about_identity: bool,
}

/// What `error`, the text of a failure, means, if it is rustls'. By its text, because h2 keeps no more of an error.
pub fn meaning(error: &str) -> Option<Meaning> {
    if let Some(alert) = error.strip_prefix("received fatal alert: ") {
        return Some(of_alert(alert));
    }
    let words = match error {
        _ if error.starts_with("peer is incompatible: ") => {
            "the server and this client have no version of TLS, cipher or kind of key in common: it needs TLS 1.2 or 1.3"
        }
        _ if error.starts_with("peer misbehaved: ") => {
            "the server breaks the rules of TLS: it, or a middlebox, needs repair"
        }
        "peer doesn't support any known protocol" => NO_PROTOCOL,
        _ => return None,
    };
    Some(Meaning { words, about_identity: false })
}

const NO_PROTOCOL: &str = "the server's port for TLS is not for this protocol: set OTEL_EXPORTER_OTLP_PROTOCOL to the other \
                           (grpc or http/protobuf), or the endpoint to the port of this one";

/// By the name of the alert.
fn of_alert(alert: &str) -> Meaning {
    let refusal = |words| Meaning { words, about_identity: true };
    let other = |words| Meaning { words, about_identity: false };
    match alert {
        "CertificateRequired" | "NoCertificate" => other(
            "the server wants a client certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and \
             OTEL_EXPORTER_OTLP_CLIENT_KEY",
        ),
        "HandshakeFailure" => other(
            "the server and this client have no cipher or kind of key in common, or the server wants a client \
             certificate: if so, set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY",
        ),
        "UnknownCA" => refusal(
            "the server refuses the client's certificate: it does not trust its issuer; set \
             OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE to one that the server's authority has signed",
        ),
        "CertificateExpired" => refusal(
            "the server refuses the client's certificate: it has expired; put a new one into \
             OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        ),
        "CertificateRevoked" => refusal(
            "the server refuses the client's certificate: it is revoked; put a new one into \
             OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        ),
        "UnsupportedCertificate" => refusal(
            "the server refuses the client's certificate: its key or its purpose is not one that the server takes; put \
             another one, for clients, into OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        ),
        "BadCertificate" | "CertificateUnknown" | "AccessDenied" | "DecryptError" => refusal(
            "the server refuses the client's certificate; set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE to one that it takes, \
             and OTEL_EXPORTER_OTLP_CLIENT_KEY to its key",
        ),
        "ProtocolVersion" => other("the server takes neither TLS 1.2 nor TLS 1.3; it needs one of them"),
        "NoApplicationProtocol" => other(NO_PROTOCOL),
        "UnrecognisedName" => other(
            "the server knows no certificate for the endpoint's host; the endpoint must have a name that is in one",
        ),
        _ => other("the server has broken off TLS; its own log says why"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// rustls' texts, by which errors are known.
    #[test]
    fn errors_of_rustls_are_known() {
        use rustls::{AlertDescription, Error, PeerIncompatible, PeerMisbehaved};

        for (error, words) in [
            (Error::AlertReceived(AlertDescription::NoApplicationProtocol), "is not for this protocol"),
            (Error::AlertReceived(AlertDescription::InternalError), "has broken off TLS"),
            (Error::AlertReceived(AlertDescription::UnrecognisedName), "a name that is in one"),
            (Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon), "TLS 1.2 or 1.3"),
            (Error::PeerMisbehaved(PeerMisbehaved::TooMuchEarlyDataReceived), "breaks the rules"),
            (Error::NoApplicationProtocol, "is not for this protocol"),
        ] {
            assert!(meaning(&error.to_string()).unwrap().words.contains(words), "{error}");
        }
        assert!(meaning("Connection refused").is_none());
    }
}
