//! The commands for authors of modules.

mod build;
#[cfg(feature = "runtime")]
mod dev;
#[cfg(feature = "runtime")]
mod local;
mod new;
mod progress;
#[cfg(feature = "runtime")]
mod test;

pub(crate) use build::build;
#[cfg(feature = "runtime")]
pub(crate) use dev::dev;
#[cfg(feature = "runtime")]
pub(crate) use local::leash::leash;
pub(crate) use new::new;
#[cfg(feature = "runtime")]
pub(crate) use test::test;
