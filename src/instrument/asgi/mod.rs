//! What contrib's instrumentations of ASGI, Starlette and FastAPI run in each request: around the application, and for
//! each message.

mod attributes;
mod headers;
mod measure;
mod message_span;
mod middleware;
mod module;
mod receive;
mod routes;
mod send;
mod wrapped;

pub use attributes::asgi_request_attributes;
pub use middleware::AsgiRequest;
pub use module::AsgiModule;
pub use receive::AsgiReceive;
pub use routes::{AsgiRoutes, asgi_span_details};
pub use send::AsgiSend;
