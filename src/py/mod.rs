//! Being in Python: what every part of the extension stands on.

pub mod attributes;
pub mod boundary;
pub mod call;
pub mod context;
pub mod exception;
pub mod exit;
pub mod fastcall;
pub mod fork;
pub mod interpreter;
pub mod interrupt;
pub mod log;
pub mod once;
pub mod text;
pub mod thread_end;
pub mod unexported;
pub mod upstream;
pub mod wait;
