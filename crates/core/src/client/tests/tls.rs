//! TLS as both protocols speak it, with certificates made here.

use std::sync::Arc;

use super::certificates::{Authority, Identity, NAMES, self_signed};
use super::*;

/// A willing server behind TLS, which may be given another identity.
struct Secured {
    server: Willing,
    address: SocketAddr,
    identity: watch::Sender<Arc<rustls::ServerConfig>>,
}

impl Secured {
    async fn start(protocol: Protocol, config: Arc<rustls::ServerConfig>) -> Secured {
        let server = Willing::start(protocol).await;
        let identity = watch::Sender::new(config);
        let address = relay::tls(server.address(), identity.subscribe()).await;
        Secured { server, address, identity }
    }
}

fn tls_config(protocol: Protocol, address: SocketAddr, ca: &std::path::Path) -> ClientConfig {
    let mut config = config(protocol, address);
    config.endpoint = config.endpoint.replace("http://", "https://");
    config.timeout = Duration::from_secs(10);
    config.tls.ca_file = Some(ca.to_owned());
    config
}

/// Too short for a second attempt.
const ONE_ATTEMPT: Duration = Duration::from_millis(700);

/// What an export says when the server has `identity` and the client trusts `ca`.
async fn verdict(protocol: Protocol, identity: &Identity, ca: &str) -> Outcome {
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
                (authority.expired(), authority.pem(), "invalid peer certificate: certificate expired"),
                (authority.server(&["other.test"]), authority.pem(), "certificate not valid for name \"127.0.0.1\""),
                (authority.server(&NAMES), stranger.pem(), "invalid peer certificate: UnknownIssuer"),
                (authority.client(), authority.pem(), "invalid peer certificate"),
            ] {
                let reason = reason(verdict(protocol, &identity, &ca).await);
                assert_contains(&reason, "cannot connect: ");
                assert_contains(&reason, why);
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
            assert_contains(&reason(outcome), "not valid for name");

            let expired = self_signed(&NAMES, true);
            assert_contains(&reason(verdict(protocol, &expired, &expired.certificate).await), "expired");

            let unknown = self_signed(&NAMES, false);
            reason(verdict(protocol, &unknown, &identity.certificate).await);
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
            assert_contains(&reason(export_once(&config).await), "cannot connect: ");
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
async fn a_missing_client_certificate_is_named_by_the_server() {
    bounded(async {
        let authority = Authority::new();
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &authority.pem());
        let server = Secured::start(Protocol::Grpc, authority.server(&NAMES).server_config(Some(&authority))).await;
        let mut config = tls_config(Protocol::Grpc, server.address, &ca);
        config.timeout = ONE_ATTEMPT;
        assert_contains(&reason(export_once(&config).await), "received fatal alert: CertificateRequired");
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
            config.tls.ca_file = None;
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
    let missing = folder.path("missing.pem");
    let directory = folder.path("");

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
            (&directory, "it is not a file"),
            (&empty, "nothing of that kind is in it"),
            (&key, "nothing of that kind is in it"),
            (&broken, "it is not well-formed PEM"),
        ] {
            let text = error(path, None, None);
            assert_contains(&text, &format!("certificate_file is {path:?}: {problem}"));
            assert_contains(&text, "accepted: PEM with at least one CERTIFICATE");
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
        assert_contains(&text, "client_certificate_file");
        assert_contains(&text, "KeyMismatch");
        let text = error(&ca, Some(&certificate), None);
        assert_contains(&text, &format!("client_key_file is {certificate:?}"));
    }
}

#[test]
fn files_are_not_read_for_plaintext() {
    for protocol in PROTOCOLS {
        let mut config = config(protocol, ([127, 0, 0, 1], 4317).into());
        config.tls.ca_file = Some("/nowhere/ca.pem".into());
        Client::new(&config).unwrap();
    }
}
