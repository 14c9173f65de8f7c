//! The certificates to trust: those of the named files, or the system's.

use std::collections::HashSet;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::super::config::TrustedFile;
use super::super::config_error::{ConfigError, Setting};
use super::once::say_once;
use super::pem;

const ACCEPTED: &str = "PEM with at least one CERTIFICATE, or a folder of such files";

pub struct Trusted {
    pub roots: RootCertStore,
    pub certificates: HashSet<CertificateDer<'static>>,
    /// Where they are from, for messages.
    pub described: String,
}

impl Trusted {
    /// A file that cannot be used, or a certificate in it, costs itself; if nothing is left, the first one's problem is
    /// returned. Nothing else takes their place.
    pub fn of_files(files: &[TrustedFile]) -> Result<Trusted, ConfigError> {
        let described: Vec<String> =
            files.iter().map(|file| format!("{} ({})", file.source, file.path.display())).collect();
        let described = format!("the certificates of {}", described.join(" and "));
        let mut trusted = Trusted { roots: RootCertStore::empty(), certificates: HashSet::new(), described };
        let mut problems = Vec::new();
        for file in files {
            if let Err(problem) = trusted.add(file) {
                problems.push((file, problem));
            }
        }
        if trusted.roots.is_empty() {
            let (file, problem) = problems.remove(0);
            return Err(ConfigError::of_file(Setting::CertificateFile, &file.path, problem, ACCEPTED));
        }
        for (TrustedFile { path, source }, problem) in problems {
            say_once(format!("{source} is {path:?}: {problem}; accepted: {ACCEPTED}. It is left out."));
        }
        Ok(trusted)
    }

    fn add(&mut self, file: &TrustedFile) -> Result<(), String> {
        let pem::Certificates { readable, mut broken, .. } = pem::certificates(&file.path)?;
        let mut good = 0;
        for certificate in readable {
            // A folder's files may be links to each other.
            if self.certificates.contains(&certificate) {
                good += 1;
            } else if self.roots.add(certificate.clone()).is_ok() {
                self.certificates.insert(certificate);
                good += 1;
            } else {
                broken += 1;
            }
        }
        if good == 0 {
            return Err(pem::NOT_WELL_FORMED.to_owned());
        }
        if broken > 0 {
            let TrustedFile { path, source } = file;
            let all = good + broken;
            say_once(format!(
                "{source} is {path:?}: {broken} of its {all} certificates cannot be read and are left out."
            ));
        }
        Ok(())
    }

    /// What the system trusts, where that is in files. That it has some that cannot be read is not the user's affair.
    #[cfg(all(unix, not(target_vendor = "apple")))]
    pub fn by_the_system() -> Option<Trusted> {
        let found = openssl_probe::probe();
        let mut trusted = Trusted {
            roots: RootCertStore::empty(),
            certificates: HashSet::new(),
            described: "the system's certificates".to_owned(),
        };
        for path in found.cert_file.iter().chain(&found.cert_dir) {
            let readable = pem::certificates(path).unwrap_or_default().readable;
            let new: Vec<_> =
                readable.into_iter().filter(|certificate| trusted.certificates.insert(certificate.clone())).collect();
            trusted.roots.add_parsable_certificates(new);
        }
        (!trusted.roots.is_empty()).then_some(trusted)
    }
}
