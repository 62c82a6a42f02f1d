//! Queries for modules: `POST /v1/query/MODULE` and `POST /v1/query/MODULE/FUNCTION` on the control
//! socket and, if the operator configured one, on a port.

pub(super) mod answer;
pub(super) mod listener;
