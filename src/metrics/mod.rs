//! The metrics SDK as Python sees it.

mod amount;
pub mod consumer;
mod exemplar_filter;
pub mod instrument;
mod items;
pub mod periodic_reader;
mod stock;
pub mod stream;
