#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otel_rs_fuzz::propagation(data));
