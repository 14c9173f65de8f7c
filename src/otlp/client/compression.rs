//! Content codings. gRPC and HTTP name and define them alike.

use std::io::Write;

use flate2::write::GzEncoder;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
}

impl Compression {
    /// The name in `content-encoding` and `grpc-encoding`; none for uncompressed.
    pub(super) fn encoding(self) -> Option<&'static str> {
        match self {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
        }
    }

    /// Appends the compressed `input` to `output`.
    pub(super) fn append(self, input: &[u8], mut output: Vec<u8>) -> Vec<u8> {
        match self {
            Compression::None => {
                output.extend_from_slice(input);
                output
            }
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(output, flate2::Compression::default());
                encoder.write_all(input).and_then(|()| encoder.finish()).expect("writing to a Vec cannot fail")
            }
        }
    }
}
