//! Content codings. gRPC and HTTP name and define them alike.

use std::fmt;
use std::io::{self, Write};

use crate::otlp::Output;

use flate2::write::{GzEncoder, ZlibEncoder};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    /// HTTP only: the zlib format, as RFC 9110 defines `deflate`.
    Deflate,
    Zstd,
}

impl Compression {
    /// The name in `content-encoding` and `grpc-encoding`; none for uncompressed.
    pub(super) fn encoding(self) -> Option<&'static str> {
        match self {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Deflate => Some("deflate"),
            Compression::Zstd => Some("zstd"),
        }
    }

    /// Fails for want of memory alone.
    pub(super) fn compress(self, input: &[u8]) -> io::Result<Vec<u8>> {
        let level = flate2::Compression::default();
        let mut output = Output(Vec::new());
        let compressed = match self {
            Compression::None => output.write_all(input).map(|()| output),
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(output, level);
                encoder.write_all(input).and_then(|()| encoder.finish())
            }
            Compression::Deflate => {
                let mut encoder = ZlibEncoder::new(output, level);
                encoder.write_all(input).and_then(|()| encoder.finish())
            }
            Compression::Zstd => zstd::Encoder::new(output, zstd::DEFAULT_COMPRESSION_LEVEL).and_then(|mut encoder| {
                // Lets the peer allocate the right buffer at once.
                encoder.set_pledged_src_size(Some(input.len() as u64))?;
                encoder.write_all(input)?;
                encoder.finish()
            }),
        };
        compressed.map(|Output(compressed)| compressed)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encoding().unwrap_or("none"))
    }
}
