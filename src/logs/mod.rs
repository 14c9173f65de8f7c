//! Log records: what is emitted goes to batch processors as bytes.

mod emit;
pub mod export;
pub mod handler;
pub mod logger;
mod logging_record;
mod origin;
