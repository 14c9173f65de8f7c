//! Checks the server's certificate.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::refusal;
use super::trust::Trusted;

/// webpki's or the system's verdict, but for one case: a certificate that is itself among the trusted ones may be the
/// server's own. webpki wants it to have an issuer there, and not to be an authority's, as `openssl req -x509` makes
/// them; gRPC takes both, and `requests` those that are self-signed.
#[derive(Debug)]
pub struct Verifier {
    verdict: Arc<dyn ServerCertVerifier>,
    trusted: HashSet<CertificateDer<'static>>,
    /// Where the trusted ones are from, for messages.
    described: String,
}

impl Verifier {
    pub fn of(trusted: Trusted, provider: Arc<CryptoProvider>) -> Result<Verifier, String> {
        let Trusted { roots, certificates, described } = trusted;
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verdict = webpki.build().map_err(|error| error.to_string())?;
        Ok(Verifier { verdict, trusted: certificates, described })
    }

    #[cfg(all(unix, not(target_vendor = "apple")))]
    pub fn of_the_system(provider: Arc<CryptoProvider>) -> Result<Verifier, String> {
        Verifier::of(Trusted::by_the_system().ok_or("this system has no certificates to trust")?, provider)
    }

    #[cfg(not(all(unix, not(target_vendor = "apple"))))]
    pub fn of_the_system(provider: Arc<CryptoProvider>) -> Result<Verifier, String> {
        let verdict = rustls_platform_verifier::Verifier::new(provider).map_err(|error| error.to_string())?;
        let described = "the system's certificates".to_owned();
        Ok(Verifier { verdict: Arc::new(verdict), trusted: HashSet::new(), described })
    }

    fn noted<T>(&self, certificate: &CertificateDer<'_>, verdict: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::InvalidCertificate(error)) = &verdict {
            refusal::note(error, certificate, &self.described);
        }
        verdict
    }
}

/// webpki finds this only after the certificate's validity in time, so that an expired one is not among them.
fn wants_an_issuer(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.verdict.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let verdict = match verdict {
            Err(error) if wants_an_issuer(&error) && self.trusted.contains(end_entity) => {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&parsed, server_name).map(|()| ServerCertVerified::assertion())
            }
            verdict => verdict,
        };
        self.noted(end_entity, verdict)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.noted(certificate, self.verdict.verify_tls12_signature(message, certificate, signature))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.noted(certificate, self.verdict.verify_tls13_signature(message, certificate, signature))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verdict.supported_verify_schemes()
    }
}
