//! What the page's server answers with: three files, and what was received as JSON.

mod files;
mod json;
mod kept;
mod store;

pub use files::{answer, refused};
pub use kept::Kept;
