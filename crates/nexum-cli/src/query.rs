//! Questions for modules: `POST /v1/query/MODULE` on the control socket and, if the operator wants it, on a port; and `nexum query`.

mod answer;
mod ask;
mod config;
mod listener;

pub(crate) use answer::router;
pub(crate) use ask::query;
pub(crate) use config::QueryConfig;
pub(crate) use listener::Listener;

/// Where modules are asked; the module's name is below this.
const QUERY: &str = "/v1/query";
