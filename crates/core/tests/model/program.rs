//! Models of what threads hand to each other: the product's own sources, on locks, atomics and tasks of shuttle, which
//! runs one thread at a time and tries many orders of their steps. `tests/model.rs` runs this program.

#[path = "../../src/batch_processor/mod.rs"]
#[allow(dead_code, unused_imports)]
mod batch_processor;
mod hand_over;
mod measurements;
mod metrics;
#[path = "../../src/periodic_reader/mod.rs"]
#[allow(dead_code, unused_imports)]
mod periodic_reader;
mod rounds;
mod slots;

mod export {
    pub use otel_rs_core::export::split;

    #[path = "../../../src/export/counters.rs"]
    #[allow(dead_code)]
    pub mod counters;
    pub mod exporter;
}

mod otlp {
    pub use otel_rs_core::otlp::*;
}

mod process {
    #[path = "../../../src/process/deliveries.rs"]
    #[allow(dead_code)]
    pub mod deliveries;
    #[path = "../../../src/process/fork.rs"]
    #[allow(dead_code)]
    pub mod fork;
    #[path = "../../../src/process/published.rs"]
    #[allow(dead_code)]
    pub mod published;
    #[path = "../../../src/process/report.rs"]
    #[allow(dead_code)]
    pub mod report;
    pub mod runtime;
    pub mod sync;

    pub use fork::PerProcess;

    /// Nothing forks here.
    mod descriptors {
        pub fn close_inherited() {}
    }
}

const USAGE: &str = "model NAME [ROUNDS [FAULT]]";

/// A model's name and what it does, once.
const MODELS: &[(&str, fn())] = &[
    ("a_flush_delivers_what_was_taken_before_it", hand_over::flush),
    ("everyone_may_flush", hand_over::everyone_flushes),
    ("full_batches_go_by_themselves", hand_over::full_batches),
    ("little_goes_after_the_schedule_delay", hand_over::schedule_delay),
    ("what_waits_is_bounded_in_spans", hand_over::bounded_in_spans),
    ("what_waits_is_bounded_in_bytes", hand_over::bounded_in_bytes),
    ("shutdown_delivers_and_ends_the_worker", hand_over::shutdown),
    ("abandoning_ends_every_wait", hand_over::abandon),
    ("a_forgotten_processor_delivers", hand_over::forgotten),
    ("a_flush_exports_what_was_measured_before_it", rounds::flush),
    ("a_reader_is_shut_down_while_others_measure_and_flush", rounds::shutdown),
    ("a_forgotten_reader_delivers", rounds::forgotten),
    ("readers_see_what_was_published", slots::published),
    ("threads_agree_on_the_value_of_a_process", slots::per_process),
    ("every_measurement_is_in_one_collection", measurements::one_collection),
    ("a_cumulative_sum_never_loses", measurements::cumulative),
    ("threads_that_measure_first_share_a_series", measurements::one_series),
    ("series_stay_within_the_budget", measurements::budget),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        MODELS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let (_, model) = MODELS.iter().find(|(known, _)| *known == name).expect(USAGE);
    let rounds: usize = arguments.next().map_or(300, |rounds| rounds.parse().expect(USAGE));
    if let Some(fault) = arguments.next() {
        process::sync::Fault::ALL.into_iter().find(|known| format!("{known:?}") == fault).expect(USAGE).seed();
    }
    // Orders at random, and orders with few switches at any moments.
    shuttle::check_random(model, rounds / 2);
    shuttle::check_pct(model, rounds / 2, 3);
}
