//! Runs the models of `tests/model`, and sees that they find faults.
//!
//! `cargo test` builds the program, as all examples, and `cargo test --test model` does not: `cargo build --example
//! model` first. For more orders than here: `cargo run --example model NAME 100000`.

use std::path::PathBuf;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    // Cargo builds examples before it runs tests, into the directory beside that of the tests.
    let mut program: PathBuf = std::env::current_exe().expect("this test has a path");
    program.pop();
    program.set_file_name("examples");
    program.push(format!("model{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(&program);
    // Its warnings: that it knows the strictest memory order only (Miri knows the others), and drops its statics.
    command.args(arguments).env("SHUTTLE_SILENCE_WARNINGS", "1");
    command
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo build --example model` makes it", program.display()))
}

fn holds(model: &str) {
    let output = run(&[model]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn finds(model: &str, fault: &str, words: &str) {
    let output = run(&[model, "400", fault]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(words), "{said}");
}

macro_rules! models {
    ($($model:ident)*) => {
        $(#[test]
        fn $model() {
            holds(stringify!($model));
        })*

        #[test]
        fn no_model_is_left_out() {
            let names = [$(stringify!($model)),*].join("\n");
            assert_eq!(String::from_utf8_lossy(&run(&[]).stdout).trim_end(), names);
        }
    };
}

models! {
    a_flush_delivers_what_was_taken_before_it
    everyone_may_flush
    full_batches_go_by_themselves
    little_goes_after_the_schedule_delay
    what_waits_is_bounded_in_spans
    what_waits_is_bounded_in_bytes
    shutdown_delivers_and_ends_the_worker
    abandoning_ends_every_wait
    a_forgotten_processor_delivers
    a_flush_exports_what_was_measured_before_it
    a_reader_is_shut_down_while_others_measure_and_flush
    a_forgotten_reader_delivers
    readers_see_what_was_published
    threads_agree_on_the_value_of_a_process
    every_measurement_is_in_one_collection
    a_cumulative_sum_never_loses
    threads_that_measure_first_share_a_series
    series_stay_within_the_budget
}

#[test]
fn a_flush_that_nobody_is_woken_for_is_found() {
    finds("a_flush_delivers_what_was_taken_before_it", "NobodyWoken", "deadlock");
}

#[test]
fn a_wake_up_that_is_lost_on_a_busy_worker_is_found() {
    finds("everyone_may_flush", "ForgottenIfNobodyWaits", "deadlock");
}

#[test]
fn two_workers_are_found() {
    finds("everyone_may_flush", "SwapInTwo", "panicked");
}

#[test]
fn two_values_of_one_process_are_found() {
    finds("threads_agree_on_the_value_of_a_process", "ExchangeInTwo", "assertion");
}

#[test]
fn series_that_nobody_collects_are_found() {
    finds("every_measurement_is_in_one_collection", "ExchangeInTwo", "assertion");
}

#[test]
fn memory_that_is_given_twice_is_found() {
    finds("series_stay_within_the_budget", "UpdateInTwo", "assertion");
}
