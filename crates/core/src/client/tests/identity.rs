//! The certificate that a client shows.

use super::certificates::{Authority, NAMES, rsa_8192};
use super::tls::{ONE_ATTEMPT, Secured, tls_config};
use super::*;

#[tokio::test]
async fn a_client_shows_its_certificate() {
    bounded(async {
        let authority = Authority::new();
        let client = authority.client();
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &authority.pem());
        let certificate = folder.write("client.pem", &client.certificate);
        let key = folder.write("client.key", &client.key);
        let both = folder.write("both.pem", &format!("{}{}", client.key, client.certificate));
        for protocol in PROTOCOLS {
            let server = Secured::start(protocol, authority.server(&NAMES).server_config(Some(&authority))).await;
            let mut config = tls_config(protocol, server.address, &ca);
            config.tls.client_certificate_file = Some(certificate.clone());
            config.tls.client_key_file = Some(key.clone());
            assert_eq!(export_once(&config).await, delivered());

            // Certificate and key in one file.
            config.tls.client_certificate_file = Some(both.clone());
            config.tls.client_key_file = None;
            assert_eq!(export_once(&config).await, delivered());
            assert_eq!(server.server.count(), 2);

            config.tls.client_certificate_file = None;
            config.timeout = ONE_ATTEMPT;
            let reason = reason(export_once(&config).await);
            assert!(reason.contains("cannot connect") || reason.contains("connection lost"), "{reason}");
            assert_eq!(server.server.count(), 2);
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_refuses_the_clients_certificate_says_so() {
    bounded(async {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &authority.pem());
        let server = Secured::start(Protocol::Grpc, authority.server(&NAMES).server_config(Some(&authority))).await;
        let mut config = tls_config(Protocol::Grpc, server.address, &ca);
        config.timeout = ONE_ATTEMPT;
        let text = reason(export_once(&config).await);
        assert_contains(&text, "the server wants a client certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE");

        let unknown = stranger.client();
        config.tls.client_certificate_file = Some(folder.write("client.pem", &unknown.certificate));
        config.tls.client_key_file = Some(folder.write("client.key", &unknown.key));
        let text = reason(export_once(&config).await);
        assert_contains(&text, "the server refuses the client's certificate");
        assert_contains(&text, &format!("; it is in {}", folder.path("client.pem").display()));
        assert_contains(&text, "issuer \"CN=authority");

        let expired = authority.expired();
        config.tls.client_certificate_file = Some(folder.write("expired.pem", &expired.certificate));
        config.tls.client_key_file = Some(folder.write("expired.key", &expired.key));
        let text = reason(export_once(&config).await);
        assert_contains(&text, "the server refuses the client's certificate: it has expired");
        assert_contains(&text, "expired on Thu, 02 Jan 2020");
    })
    .await;
}

#[tokio::test]
async fn a_clients_key_may_be_large() {
    bounded(async {
        let (p521, rsa) = (Authority::of_p521(), rsa_8192());
        let folder = Folder::new();
        for (client, authority) in [(p521.client(), p521.pem()), (rsa_8192(), rsa.certificate)] {
            let server_authority = Authority::new();
            let ca = folder.write("ca.pem", &server_authority.pem());
            let identity = server_authority.server(&NAMES);
            let server = Secured::start(Protocol::Grpc, identity.server_config_for(&authority)).await;
            let mut config = tls_config(Protocol::Grpc, server.address, &ca);
            config.tls.client_certificate_file = Some(folder.write("client.pem", &client.certificate));
            config.tls.client_key_file = Some(folder.write("client.key", &client.key));
            assert_eq!(export_once(&config).await, delivered());
        }
    })
    .await;
}
