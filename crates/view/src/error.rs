//! Why a receiver could not be started, or stopped.

use std::fmt;
use std::io;

use crate::text::{clip, count};

const MAX_CHARS: usize = 200;

#[derive(Debug)]
pub enum ReceiverError {
    /// Both servers are turned off.
    NoListener,
    /// A server could not listen on the address it was given.
    Listen { protocol: &'static str, address: String, source: io::Error },
    /// A server ended without being asked to.
    Serve { protocol: &'static str, message: String },
    /// A file could not be read.
    Input { file: String, source: io::Error },
    /// So many lines of a file are no OTLP/JSON, the first of which has this number.
    Lines { file: String, lines: u64, number: u64, why: String },
    /// What was received could not be printed.
    Output(io::Error),
    /// The system refused something else the receiver needs.
    Io(io::Error),
}

impl fmt::Display for ReceiverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoListener => f.write_str("both grpc and http are off: nothing to listen on"),
            Self::Listen { protocol, address, source } => {
                // The kind says it in plain words; the operating system's own wording stands in where there is none.
                match source.kind() {
                    io::ErrorKind::AddrInUse => {
                        write!(f, "cannot listen on {protocol} {address}: address in use")
                    }
                    _ => write!(f, "cannot listen on {protocol} {address}: {source}"),
                }
            }
            Self::Serve { protocol, message } => {
                write!(f, "the {protocol} server stopped: {message}")
            }
            Self::Input { file, source } => write!(f, "cannot read {}: {source}", clip(file, MAX_CHARS)),
            Self::Lines { file, lines, number, why } => {
                let (file, lines) = (clip(file, MAX_CHARS), count(*lines as usize, "line"));
                let why = clip(why, MAX_CHARS);
                write!(f, "{lines} of {file} cannot be read as OTLP/JSON; line {number}: {why}")
            }
            Self::Output(source) => write!(f, "cannot print what was received: {source}"),
            Self::Io(source) => source.fmt(f),
        }
    }
}

impl std::error::Error for ReceiverError {}
