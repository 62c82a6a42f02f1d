//! The commands for authors of modules.

mod build;
mod progress;

pub(crate) use build::build;
