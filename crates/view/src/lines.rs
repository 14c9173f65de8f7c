//! Lines of OTLP/JSON, as `otel-rs view --json` and the Collector's file exporter write them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::mpsc;

use crate::body::Body;
use crate::call::{Call, Compression, Encoding, Signal};
use crate::error::ReceiverError;
use crate::intake::Intake;

/// A request of 16 MiB is longer as JSON, and longer still where it is escaped.
const MAX_LINE_BYTES: u64 = 128 * 1024 * 1024;

/// Reads the file, or stdin if it is called `-`, to its end.
pub async fn read(file: &str, intake: &Intake) -> Result<(), ReceiverError> {
    let failed = |source| ReceiverError::Input { file: file.to_owned(), source };
    let reader: Box<dyn Read + Send> = match file {
        "-" => Box::new(io::stdin()),
        path => Box::new(File::open(path).map_err(failed)?),
    };
    let (lines, mut read) = mpsc::channel(1);
    // Nobody waits for the thread, which may be reading from a pipe to which nothing is written.
    thread::Builder::new().name("otel-rs-lines".to_owned()).spawn(move || send(reader, &lines)).map_err(failed)?;
    let mut bad = Bad::default();
    let mut number = 0;
    while let Some(line) = read.recv().await {
        number += 1;
        let line = line.map_err(failed)?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        if let Err(why) = take(line, intake).await {
            bad.add(number, why);
        }
    }
    bad.result(file)
}

fn send(reader: impl Read, lines: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let outcome = match reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) if line.len() as u64 == MAX_LINE_BYTES => Err(io::Error::other("a line is longer than 128 MiB")),
            Ok(_) => Ok(line),
            Err(error) => Err(error),
        };
        let failed = outcome.is_err();
        if lines.blocking_send(outcome).is_err() || failed {
            return;
        }
    }
}

/// What each signal's request has, and no other.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contents {
    resource_spans: Option<IgnoredAny>,
    resource_metrics: Option<IgnoredAny>,
    resource_logs: Option<IgnoredAny>,
}

async fn take(line: Vec<u8>, intake: &Intake) -> Result<(), String> {
    let contents: Contents = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
    let signal = match contents {
        Contents { resource_spans: Some(_), .. } => Signal::Traces,
        Contents { resource_metrics: Some(_), .. } => Signal::Metrics,
        Contents { resource_logs: Some(_), .. } => Signal::Logs,
        _ => return Err("it has neither resourceSpans nor resourceMetrics nor resourceLogs".to_owned()),
    };
    let call = Call { signal, encoding: Encoding::Json, compression: Compression::None };
    intake.accept(call, Body::of(line)).await.map_err(|refusal| refusal.message)
}

/// The lines that could not be read.
#[derive(Default)]
struct Bad {
    lines: u64,
    first: Option<(u64, String)>,
}

impl Bad {
    fn add(&mut self, number: u64, why: String) {
        self.lines += 1;
        self.first.get_or_insert((number, why));
    }

    fn result(self, file: &str) -> Result<(), ReceiverError> {
        match self.first {
            None => Ok(()),
            Some((number, why)) => Err(ReceiverError::Lines { file: file.to_owned(), lines: self.lines, number, why }),
        }
    }
}
