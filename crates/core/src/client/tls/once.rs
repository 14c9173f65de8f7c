//! Log lines about files that are used, but not as they should be.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::process::fork::PerProcess;
use crate::process::report::{Level, Source, say};

/// Exporters of several signals read the same files, so each line comes once in a process.
pub fn say_once(line: String) {
    static SAID: PerProcess<Mutex<HashSet<String>>> = PerProcess::new();
    let mut said = SAID.get_or_make(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if said.insert(line.clone()) {
        say(Level::Error, Source::unique(), line);
    }
}
