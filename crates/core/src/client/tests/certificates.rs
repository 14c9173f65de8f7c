//! Certificates made for the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

pub const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

impl Authority {
    pub fn new() -> Authority {
        Authority::with_key(KeyPair::generate().unwrap())
    }

    pub fn of_p521() -> Authority {
        Authority::with_key(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap())
    }

    fn with_key(key: KeyPair) -> Authority {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let mut params = params(&[]);
        // A certificate's issuer is first looked for by its name.
        let name = format!("authority {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// With a key of the authority's own kind.
    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate_for(self.0.key().algorithm()).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    pub fn server(&self, names: &[&str]) -> Identity {
        let mut params = params(names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// An intermediate one, which is a server all the same.
    pub fn authority(&self, names: &[&str]) -> Identity {
        let mut params = params(names);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self.sign(params)
    }

    pub fn expired(&self) -> Identity {
        let mut params = params(&NAMES);
        expire(&mut params);
        self.sign(params)
    }

    pub fn client(&self) -> Identity {
        let mut params = params(&["client"]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }
}

/// Self-signed, and made beforehand: to find the primes takes a minute.
pub fn rsa_8192() -> Identity {
    let both = include_str!("keys/rsa_8192.pem");
    Identity { certificate: both.to_owned(), key: both.to_owned() }
}

fn expire(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 2);
}

/// As `openssl req -x509` makes it: its own authority, and marked as one.
pub fn self_signed(names: &[&str], expired: bool) -> Identity {
    let mut params = params(names);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    if expired {
        expire(&mut params);
    }
    let key = KeyPair::generate().unwrap();
    Identity { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

impl Identity {
    fn parsed(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        (vec![certificate], PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap())
    }

    /// A server with this identity; with `clients`, one that wants theirs signed by that authority.
    pub fn server_config(&self, clients: Option<&Authority>) -> Arc<rustls::ServerConfig> {
        self.config(clients.map(|authority| authority.pem()).as_deref())
    }

    pub fn server_config_for(&self, clients: &str) -> Arc<rustls::ServerConfig> {
        self.config(Some(clients))
    }

    fn config(&self, clients: Option<&str>) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let (chain, key) = self.parsed();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}
