//! From series to exports: a metric reader that collects at intervals and hands what it found to an exporter.

mod collection;
mod config;
mod delivery;
mod flush;
mod reader;
mod state;
#[cfg(test)]
mod tests;
mod worker;

pub use collection::Found;
pub use config::PeriodicReaderConfig;
pub use reader::PeriodicReader;
pub use state::Ticket;
