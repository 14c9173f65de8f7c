//! What contrib's instrumentation of Flask runs in each request: around the application, before and after the request's
//! handler.

mod application;
mod before;
mod module;
mod teardown;

pub use application::FlaskApplication;
pub use before::FlaskBeforeRequest;
pub use module::FlaskModule;
pub use teardown::FlaskTeardown;
