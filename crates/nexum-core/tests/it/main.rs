//! What the core promises, one module a topic.

mod config;
mod manifest;
