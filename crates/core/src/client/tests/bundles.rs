//! Files and folders of certificates to trust, as they are found in the wild.

use super::certificates::{Authority, NAMES};
use super::tls::{Secured, tls_config, verdict};
use super::*;

const BROKEN: &str = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
/// PEM, but no certificate.
const NONSENSE: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

#[tokio::test]
async fn what_else_is_in_a_bundle_does_no_harm() {
    bounded(async {
        let authority = Authority::new();
        let (server, pem) = (authority.server(&NAMES), authority.pem());
        let (key, other) = (server.key.clone(), Authority::new().pem());
        for bundle in [
            pem.replace('\n', "\r\n"),
            format!("\u{feff}{pem}"),
            format!("# {other}{pem}"),
            format!("{key}-----BEGIN DH PARAMETERS-----\nMAYCAQUCAQI=\n-----END DH PARAMETERS-----\n{pem}"),
            pem.replace(" CERTIFICATE", " X509 CERTIFICATE"),
            format!("{}{other}", pem.trim_end()),
            format!("{BROKEN}{pem}"),
            format!("{NONSENSE}{pem}{BROKEN}"),
            format!("{}\n{pem}", &other[..other.len() / 2]),
            format!("{pem}{}", &other[..other.len() / 2]),
        ] {
            assert_eq!(verdict(Protocol::Grpc, &server, &bundle).await, delivered(), "{bundle}");
        }
    })
    .await;
}

#[test]
fn openssls_own_form_is_named() {
    let folder = Folder::new();
    let ca = folder.write("ca.pem", &Authority::new().pem().replace(" CERTIFICATE", " TRUSTED CERTIFICATE"));
    let error = Client::new(&tls_config(Protocol::Grpc, ([127, 0, 0, 1], 1).into(), &ca)).expect_err("not read");
    assert_contains(&error.to_string(), "it holds a TRUSTED CERTIFICATE; `openssl x509` converts it");
}

#[tokio::test]
async fn a_folder_is_a_bundle() {
    bounded(async {
        let (authority, other) = (Authority::new(), Authority::new());
        let folder = Folder::new();
        folder.write("authority.crt", &authority.pem());
        let server = Secured::start(Protocol::Grpc, authority.server(&NAMES).server_config(None)).await;
        let mut config = tls_config(Protocol::Grpc, server.address, &folder.0);
        config.timeout = Duration::from_millis(700);
        let client = Client::new(&config).unwrap();
        assert_eq!(export(&client).await, delivered());

        // Once OpenSSL's names are there, only they count, and a change is noticed.
        folder.write("0123abcd.0", &other.pem());
        assert_contains(&reason(export(&client).await), "is not signed by one of");
        folder.write("0123abce.12", &authority.pem());
        assert_eq!(export(&client).await, delivered());
    })
    .await;
}

#[tokio::test]
async fn one_of_several_files_may_be_missing() {
    bounded(async {
        let authority = Authority::new();
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &authority.pem());
        let server = Secured::start(Protocol::Grpc, authority.server(&NAMES).server_config(None)).await;
        let mut config = tls_config(Protocol::Grpc, server.address, &ca);
        config.tls.trusted.push(trusted(folder.path("gone.pem")));
        assert_eq!(export_once(&config).await, delivered());
        config.tls.trusted.remove(0);
        let error = Client::new(&config).expect_err("nothing is left to trust");
        assert_contains(&error.to_string(), "gone.pem");
    })
    .await;
}
