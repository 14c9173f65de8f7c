//! The metrics SDK as Python sees it.

mod amount;
pub mod consumer;
mod exemplar_filter;
pub mod instrument;
mod items;
mod stock;
pub mod stream;
