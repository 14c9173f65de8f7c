//! What is fuzzed: each target is a function of bytes that panics if a promise is broken.
//!
//! libFuzzer calls it from `fuzz_targets/`. The core crate has this file as a module of its tests (`tests/fuzz.rs`), so that
//! they need neither the fuzzer nor a nightly toolchain.

mod account;
mod answers;
mod attributes;
mod input;
mod json;
mod log_records;
mod measurements;
mod metrics;
mod model;
mod propagation;
mod spans;

pub use answers::{grpc_answer, http_answer};
pub use attributes::attributes;
pub use json::json;
pub use log_records::log_records;
pub use measurements::measurements;
pub use metrics::metrics;
pub use propagation::propagation;
pub use spans::spans;

pub type Target = fn(&[u8]);

pub const TARGETS: [(&str, Target); 9] = [
    ("http_answer", http_answer),
    ("grpc_answer", grpc_answer),
    ("attributes", attributes),
    ("spans", spans),
    ("log_records", log_records),
    ("metrics", metrics),
    ("measurements", measurements),
    ("json", json),
    ("propagation", propagation),
];
