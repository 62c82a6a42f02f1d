//! x

pub mod config;
pub mod document;
pub mod limits;
pub mod manifest;
pub mod names;
