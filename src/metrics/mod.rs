//! The metrics SDK as Python sees it.

mod amount;
pub mod consumer;
pub mod exemplar_filter;
pub mod instrument;
pub mod items;
pub mod periodic_reader;
mod stock;
pub mod stream;
