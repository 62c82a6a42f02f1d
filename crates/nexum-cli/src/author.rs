//! The commands for authors of modules.

mod build;
mod new;
mod progress;

pub(crate) use build::build;
pub(crate) use new::new;
