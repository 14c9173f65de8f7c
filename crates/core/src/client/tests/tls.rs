//! TLS as both protocols speak it, with certificates made here.

use std::sync::Arc;

use super::certificates::{Authority, Identity, NAMES, rsa_8192, self_signed};
use super::*;

/// A willing server behind TLS, which may be given another identity.
pub(super) struct Secured {
    pub server: Willing,
    pub address: SocketAddr,
    identity: watch::Sender<Arc<rustls::ServerConfig>>,
}

impl Secured {
    pub async fn start(protocol: Protocol, config: Arc<rustls::ServerConfig>) -> Secured {
        let server = Willing::start(protocol).await;
        let identity = watch::Sender::new(config);
        let address = relay::tls(server.address(), identity.subscribe()).await;
        Secured { server, address, identity }
    }
}

pub(super) fn tls_config(protocol: Protocol, address: SocketAddr, ca: &std::path::Path) -> ClientConfig {
    let mut config = config(protocol, address);
    config.endpoint = config.endpoint.replace("http://", "https://");
    config.timeout = Duration::from_secs(10);
    config.tls.trusted = vec![trusted(ca)];
    config
}

/// Too short for a second attempt.
pub(super) const ONE_ATTEMPT: Duration = Duration::from_millis(700);

/// What an export says when the server has `identity` and the client trusts `ca`.
pub(super) async fn verdict(protocol: Protocol, identity: &Identity, ca: &str) -> Outcome {
    let folder = Folder::new();
    let ca = folder.write("ca.pem", ca);
    let server = Secured::start(protocol, identity.server_config(None)).await;
    let mut config = tls_config(protocol, server.address, &ca);
    config.timeout = ONE_ATTEMPT;
    let outcome = export_once(&config).await;
    assert_eq!(server.server.count(), usize::from(outcome == delivered()));
    outcome
}

#[tokio::test]
async fn the_right_certificate_is_trusted() {
    bounded(async {
        let authority = Authority::new();
        for protocol in PROTOCOLS {
            assert_eq!(verdict(protocol, &authority.server(&NAMES), &authority.pem()).await, delivered());
            // Among others in the file.
            let bundle = Authority::new().pem() + &authority.pem();
            assert_eq!(verdict(protocol, &authority.server(&NAMES), &bundle).await, delivered());
        }
    })
    .await;
}

#[tokio::test]
async fn other_certificates_are_refused_and_say_why() {
    bounded(async {
        let authority = Authority::new();
        let stranger = Authority::new();
        for protocol in PROTOCOLS {
            for (identity, ca, why) in [
                (authority.expired(), authority.pem(), "the server's certificate has expired on Thu, 02 Jan 2020"),
                (authority.server(&["other.test"]), authority.pem(), "is not for 127.0.0.1"),
                (authority.server(&["other.test"]), authority.pem(), "it is for other.test; subject"),
                (authority.server(&[]), authority.pem(), "has no subjectAltName, and 127.0.0.1 must be in it"),
                (
                    authority.server(&NAMES),
                    stranger.pem(),
                    "is not signed by one of the certificates of certificate_file (",
                ),
                (authority.server(&NAMES), stranger.pem(), "set OTEL_EXPORTER_OTLP_CERTIFICATE to a PEM file with"),
                (
                    self_signed(&NAMES, false),
                    stranger.pem(),
                    "is self-signed and not among the certificates of certificate_file (",
                ),
                (authority.client(), authority.pem(), "is not for servers"),
                (authority.authority(&NAMES), authority.pem(), "the server's certificate is an authority's (CA:TRUE)"),
            ] {
                let reason = reason(verdict(protocol, &identity, &ca).await);
                assert_contains(&reason, "cannot connect: ");
                assert_contains(&reason, why);
                // Whose certificate it is.
                assert_contains(&reason, "subject \"CN=");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_self_signed_certificate_that_is_trusted_itself_is_the_servers() {
    bounded(async {
        for protocol in PROTOCOLS {
            let identity = self_signed(&NAMES, false);
            assert_eq!(verdict(protocol, &identity, &identity.certificate).await, delivered());

            let misnamed = self_signed(&["other.test"], false);
            let outcome = verdict(protocol, &misnamed, &misnamed.certificate).await;
            assert_contains(&reason(outcome), "is not for 127.0.0.1");

            let expired = self_signed(&NAMES, true);
            assert_contains(&reason(verdict(protocol, &expired, &expired.certificate).await), "expired");

            let unknown = self_signed(&NAMES, false);
            reason(verdict(protocol, &unknown, &identity.certificate).await);
        }
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_is_trusted_itself_is_the_servers_whoever_signed_it() {
    bounded(async {
        let authority = Authority::new();
        for protocol in PROTOCOLS {
            for identity in [authority.server(&NAMES), authority.authority(&NAMES)] {
                assert_eq!(verdict(protocol, &identity, &identity.certificate).await, delivered());
            }
            let misnamed = authority.server(&["other.test"]);
            assert_contains(&reason(verdict(protocol, &misnamed, &misnamed.certificate).await), "is not for 127.0.0.1");
            let expired = authority.expired();
            assert_contains(&reason(verdict(protocol, &expired, &expired.certificate).await), "has expired on");
        }
    })
    .await;
}

#[tokio::test]
async fn servers_and_authorities_may_have_large_keys() {
    bounded(async {
        for protocol in PROTOCOLS {
            let p521 = Authority::of_p521();
            assert_eq!(verdict(protocol, &p521.server(&NAMES), &p521.pem()).await, delivered());
            let rsa = rsa_8192();
            assert_eq!(verdict(protocol, &rsa, &rsa.certificate).await, delivered());
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_without_tls_is_reported() {
    bounded(async {
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &Authority::new().pem());
        for protocol in PROTOCOLS {
            let server = Willing::start(protocol).await;
            let mut config = tls_config(protocol, server.address(), &ca);
            config.timeout = ONE_ATTEMPT;
            assert_contains(&reason(export_once(&config).await), "the server speaks no TLS");
            assert_eq!(server.count(), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_handshake_that_hangs_costs_the_deadline() {
    bounded(async {
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &Authority::new().pem());
        for protocol in PROTOCOLS {
            let server = fault::FaultServer::start(protocol, vec![vec![fault::Hang]; 9], None).await;
            let mut config = tls_config(protocol, server.address, &ca);
            config.timeout = ONE_ATTEMPT;
            let started = std::time::Instant::now();
            reason(export_once(&config).await);
            assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        }
    })
    .await;
}

#[tokio::test]
async fn rotated_certificates_need_no_restart() {
    bounded(async {
        for protocol in PROTOCOLS {
            let folder = Folder::new();
            let (old, new) = (Authority::new(), Authority::new());
            let client = old.client();
            let ca = folder.write("ca.pem", &old.pem());
            let server = Secured::start(protocol, old.server(&NAMES).server_config(Some(&old))).await;
            let mut config = tls_config(protocol, server.address, &ca);
            config.tls.client_certificate_file = Some(folder.write("client.pem", &client.certificate));
            config.tls.client_key_file = Some(folder.write("client.key", &client.key));
            let exporter = Client::new(&config).unwrap();
            assert_eq!(export(&exporter).await, delivered());

            // Everything changes, on both sides, and the files one by one: a certificate without its key is not used.
            let renewed = new.client();
            folder.write("client.pem", &renewed.certificate);
            assert_eq!(export(&exporter).await, delivered());
            server.identity.send_replace(new.server(&NAMES).server_config(Some(&new)));
            folder.write("ca.pem", &new.pem());
            folder.write("client.key", &renewed.key);
            assert_eq!(export(&exporter).await, delivered());
            assert_eq!(server.server.count(), 3);
        }
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn rotation_by_a_symbolic_link_is_noticed() {
    use std::os::unix::fs::symlink;

    bounded(async {
        let (first, second) = (Folder::new(), Folder::new());
        let (old, new) = (Authority::new(), Authority::new());
        first.write("ca.pem", &old.pem());
        second.write("ca.pem", &new.pem());
        // As Kubernetes mounts secrets: the file is reached over a link to the folder of the day.
        let mount = Folder::new();
        symlink(&first.0, mount.path("..data")).unwrap();
        symlink("..data/ca.pem", mount.path("ca.pem")).unwrap();

        let server = Secured::start(Protocol::Grpc, old.server(&NAMES).server_config(None)).await;
        let client = Client::new(&tls_config(Protocol::Grpc, server.address, &mount.path("ca.pem"))).unwrap();
        assert_eq!(export(&client).await, delivered());
        server.identity.send_replace(new.server(&NAMES).server_config(None));
        symlink(&second.0, mount.path("..new")).unwrap();
        std::fs::rename(mount.path("..new"), mount.path("..data")).unwrap();
        assert_eq!(export(&client).await, delivered());
    })
    .await;
}

#[tokio::test]
async fn a_broken_rotation_keeps_what_was_there_and_is_reported() {
    bounded(async {
        for protocol in PROTOCOLS {
            let folder = Folder::new();
            let authority = Authority::new();
            let ca = folder.write("ca.pem", &authority.pem());
            let server = Secured::start(protocol, authority.server(&NAMES).server_config(None)).await;
            let mut config = tls_config(protocol, server.address, &ca);
            config.timeout = ONE_ATTEMPT;
            let exporter = Client::new(&config).unwrap();
            assert_eq!(export(&exporter).await, delivered());

            folder.write("ca.pem", "half a fi");
            assert_eq!(export(&exporter).await, delivered());

            server.server.stop().await;
            let reason = reason(export(&exporter).await);
            assert_contains(&reason, "; the TLS files have changed but cannot be used as they are: certificate_file");
            assert_contains(&reason, "ca.pem");
        }
    })
    .await;
}

#[tokio::test]
async fn the_systems_certificates_are_trusted_without_a_file() {
    const TEST: &str = "client::tests::tls::the_systems_certificates_are_trusted_without_a_file";
    if is_child() {
        for (protocol, variable) in [(Protocol::Grpc, "TEST_GRPC"), (Protocol::HttpProtobuf, "TEST_HTTP")] {
            let address = std::env::var(variable).unwrap().parse().unwrap();
            let mut config = tls_config(protocol, address, std::path::Path::new(""));
            config.tls.trusted.clear();
            assert_eq!(export_once(&config).await, delivered());
        }
        return;
    }
    // Elsewhere the system's store is not a file that a variable can name.
    if !cfg!(target_os = "linux") {
        return;
    }
    bounded(async {
        let authority = Authority::new();
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &authority.pem());
        let config = authority.server(&NAMES).server_config(None);
        let grpc = Secured::start(Protocol::Grpc, Arc::clone(&config)).await;
        let http = Secured::start(Protocol::HttpProtobuf, config).await;
        let variables = [
            ("SSL_CERT_FILE", ca.display().to_string()),
            ("TEST_GRPC", grpc.address.to_string()),
            ("TEST_HTTP", http.address.to_string()),
        ];
        in_a_process_with(TEST, &variables).await;
    })
    .await;
}

#[test]
fn unusable_files_are_named_without_their_contents() {
    let folder = Folder::new();
    let authority = Authority::new();
    let (client, other) = (authority.client(), authority.client());
    let ca = folder.write("ca.pem", &authority.pem());
    let certificate = folder.write("client.pem", &client.certificate);
    let key = folder.write("client.key", &client.key);
    let other_key = folder.write("other.key", &other.key);
    let empty = folder.write("empty.pem", "");
    let broken = folder.write("broken.pem", "-----BEGIN CERTIFICATE-----\ns3cret!\n-----END CERTIFICATE-----\n");
    let cut = folder.write("cut.pem", &client.key[..client.key.len() / 2]);
    let begin = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nczNjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = folder.write("encrypted.pem", begin);
    // A kind of key that is for exchanges, not for signatures.
    let x25519 = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIIBTFhcbo1hQ0jy5vTdYFHAxrWtZmRuLyg5WqB8SK3Jg\n\
                  -----END PRIVATE KEY-----\n";
    let small_key = folder.write("x25519.key", x25519);
    let missing = folder.path("missing.pem");

    for protocol in PROTOCOLS {
        let error =
            |ca: &std::path::PathBuf, certificate: Option<&std::path::PathBuf>, key: Option<&std::path::PathBuf>| {
                let mut config = tls_config(protocol, ([127, 0, 0, 1], 4317).into(), ca);
                config.tls.client_certificate_file = certificate.cloned();
                config.tls.client_key_file = key.cloned();
                let error = Client::new(&config).expect_err("an unusable file");
                let text = format!("{error} {error:?}");
                assert!(!text.contains("s3cret") && !text.contains("czNj") && !text.contains("MIG"), "{text}");
                error.to_string()
            };
        for (path, problem) in [
            (&missing, "No such file"),
            (&empty, "nothing of that kind is in it"),
            (&key, "nothing of that kind is in it"),
            (&broken, "it is not well-formed PEM"),
        ] {
            let text = error(path, None, None);
            assert_contains(&text, &format!("certificate_file is {path:?}: {problem}"));
            assert_contains(&text, "accepted: PEM with at least one CERTIFICATE, or a folder");
            let text = error(&ca, Some(path), Some(&key));
            assert_contains(&text, &format!("client_certificate_file is {path:?}: {problem}"));
        }
        for (path, problem) in [
            (&missing, "No such file"),
            (&empty, "nothing of that kind is in it"),
            (&certificate, "nothing of that kind is in it"),
            (&cut, "it is not well-formed PEM"),
            (&encrypted, "the key is encrypted"),
        ] {
            let text = error(&ca, Some(&certificate), Some(path));
            assert_contains(&text, &format!("client_key_file is {path:?}: {problem}"));
            assert_contains(&text, "accepted: PEM with a PRIVATE KEY");
        }
        assert_contains(&error(&ca, None, Some(&key)), "it is given without a client certificate");
        let text = error(&ca, Some(&certificate), Some(&other_key));
        assert_contains(&text, &format!("client_key_file is {other_key:?}: it is not the key of the certificate in"));
        let text = error(&ca, Some(&certificate), Some(&small_key));
        assert_contains(&text, &format!("client_key_file is {small_key:?}: a key of this kind or size"));
        let text = error(&ca, Some(&folder.path("")), None);
        assert_contains(&text, "it is not a file");
        let text = error(&ca, Some(&certificate), None);
        assert_contains(&text, &format!("client_key_file is {certificate:?}"));
    }
}

#[test]
fn files_are_not_read_for_plaintext() {
    for protocol in PROTOCOLS {
        let mut config = config(protocol, ([127, 0, 0, 1], 4317).into());
        config.tls.trusted = vec![trusted("/nowhere/ca.pem")];
        Client::new(&config).unwrap();
    }
}
