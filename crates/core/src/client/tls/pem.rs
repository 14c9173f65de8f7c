//! What files of PEM hold.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const BEGIN: &[u8] = b"-----BEGIN ";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A bundle of all public authorities has a fifth of this.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Default)]
pub struct Certificates {
    pub readable: Vec<CertificateDer<'static>>,
    /// How many more there are, that are cut off or damaged.
    pub broken: usize,
    /// Whether there is one in OpenSSL's own form, which may say as well that it is not to be trusted.
    openssls_own: bool,
}

impl Certificates {
    fn extend(&mut self, more: Certificates) {
        self.readable.extend(more.readable);
        self.broken += more.broken;
        self.openssls_own |= more.openssls_own;
    }

    fn if_any(self) -> Result<Certificates, String> {
        match self.readable.is_empty() && self.broken == 0 {
            true if self.openssls_own => Err("it holds a TRUSTED CERTIFICATE; `openssl x509` converts it".to_owned()),
            true => Err(described(&pem::Error::NoItemsFound)),
            false => Ok(self),
        }
    }
}

/// The certificates in a file, or in the files of a folder.
pub fn certificates(path: &Path) -> Result<Certificates, String> {
    let mut found = Certificates::default();
    for file in files(path).map_err(|error| error.to_string())? {
        match read(&file) {
            Ok(content) => found.extend(certificates_in(&content)),
            Err(problem) if file == path => return Err(problem),
            // A folder may have files in it that are none of ours, such as a key that another user alone may read.
            Err(_) => {}
        }
    }
    found.if_any()
}

pub fn certificates_of_file(path: &Path) -> Result<Certificates, String> {
    certificates_in(&read(path)?).if_any()
}

/// The file itself, or the files of a folder: those that `openssl rehash` has named, if there are any, because they are
/// what OpenSSL would read.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.metadata()?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir()? {
        let file = entry?.path();
        // A link may lead nowhere, and a folder of a Kubernetes volume has other folders in it.
        if file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    let rehashed: Vec<PathBuf> = files.iter().filter(|file| is_rehashed(file)).cloned().collect();
    Ok(if rehashed.is_empty() { files } else { rehashed })
}

/// Eight hexadecimal digits, a dot and a number.
fn is_rehashed(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((hash, number)) = name.split_once('.') else { return false };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && is_number
}

fn certificates_in(content: &[u8]) -> Certificates {
    let mut found = Certificates::default();
    for section in sections(content) {
        match CertificateDer::from_pem_slice(&section) {
            Ok(certificate) => found.readable.push(certificate),
            Err(pem::Error::NoItemsFound) => {
                found.openssls_own |= section.starts_with(b"-----BEGIN TRUSTED CERTIFICATE-----");
            }
            // Half a section may be half of anything.
            Err(_) if section.starts_with(b"-----BEGIN CERTIFICATE-") => found.broken += 1,
            Err(_) => {}
        }
    }
    found
}

/// The first key of any kind.
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let content = read(path)?;
    let keys = sections(&content).map(|section| PrivateKeyDer::from_pem_slice(&section));
    let first = keys.into_iter().find(|key| !matches!(key, Err(pem::Error::NoItemsFound)));
    first.unwrap_or(Err(pem::Error::NoItemsFound)).map_err(|error| match error {
        pem::Error::NoItemsFound | pem::Error::Base64Decode(_) if is_encrypted(&content) => {
            "the key is encrypted".to_owned()
        }
        error => described(&error),
    })
}

fn is_encrypted(content: &[u8]) -> bool {
    contains(content, b"ENCRYPTED PRIVATE KEY") || contains(content, b"Proc-Type: 4,ENCRYPTED")
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}

/// The file's sections one by one, so that a damaged one costs itself: each from its BEGIN to the next one. A BEGIN is
/// at the start of a line, or where the line's end was forgotten after an END.
fn sections(content: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let content = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
    let begins =
        |at: usize| content[at..].starts_with(BEGIN) && (at == 0 || matches!(content[at - 1], b'\n' | b'\r' | b'-'));
    let mut starts: Vec<usize> = (0..content.len()).filter(|&at| content[at] == b'-' && begins(at)).collect();
    starts.push(content.len());
    let ranges: Vec<_> = starts.windows(2).map(|pair| pair[0]..pair[1]).collect();
    ranges.into_iter().map(|range| with_usual_label(&content[range]))
}

/// `X509 CERTIFICATE` is an old name of the same.
fn with_usual_label(section: &[u8]) -> Cow<'_, [u8]> {
    const OLD: &str = " X509 CERTIFICATE-----";
    match section.starts_with(b"-----BEGIN X509 CERTIFICATE-----") {
        true => Cow::Owned(String::from_utf8_lossy(section).replace(OLD, " CERTIFICATE-----").into_bytes()),
        false => Cow::Borrowed(section),
    }
}

/// Our own words, because the library's may quote the file, which may be a key instead of a certificate.
fn described(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "nothing of that kind is in it".to_owned(),
        pem::Error::Io(error) => error.to_string(),
        _ => NOT_WELL_FORMED.to_owned(),
    }
}

pub const NOT_WELL_FORMED: &str = "it is not well-formed PEM";

/// Reads a file. A pipe or a device is refused, since reading it may never end.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = path.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut content = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content).map_err(|error| error.to_string())?;
    match content.len() as u64 > MAX_FILE_BYTES {
        true => Err(format!("it is larger than {MAX_FILE_BYTES} bytes")),
        false => Ok(content),
    }
}
