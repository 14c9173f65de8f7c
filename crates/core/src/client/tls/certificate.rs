//! What a certificate says of itself, for messages. Whether it is true is not asked here.

use std::fmt;
use std::time::{Duration, SystemTime};

use x509_cert::Certificate;
use x509_cert::der::Decode;

pub struct Description {
    /// Distinguished names, such as `CN=localhost,O=Example`.
    subject: String,
    issuer: String,
    pub not_after: Duration,
}

impl Description {
    /// None for what is not a certificate.
    pub fn of(der: &[u8]) -> Option<Description> {
        let certificate = Certificate::from_der(der).ok()?.tbs_certificate;
        Some(Description {
            subject: certificate.subject.to_string(),
            issuer: certificate.issuer.to_string(),
            not_after: certificate.validity.not_after.to_unix_duration(),
        })
    }

    pub fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }

    pub fn has_expired(&self) -> bool {
        SystemTime::UNIX_EPOCH + self.not_after < SystemTime::now()
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "subject {:?}, issuer {:?}", self.subject, self.issuer)
    }
}

/// A time since 1970, as HTTP writes it.
pub fn date(since_epoch: Duration) -> String {
    // From the year 10000 on, it cannot.
    const LATEST: Duration = Duration::from_secs(253_402_300_799);
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since_epoch.min(LATEST))
}
