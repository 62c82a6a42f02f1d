//! The commands for authors of modules.

#[cfg(feature = "runtime")]
mod builds;
#[cfg(feature = "runtime")]
mod chains;
#[cfg(feature = "runtime")]
mod daemon;
#[cfg(feature = "runtime")]
mod dev;
#[cfg(feature = "runtime")]
mod leash;
#[cfg(feature = "runtime")]
mod log;
#[cfg(feature = "runtime")]
mod record;
#[cfg(feature = "runtime")]
mod reports;
#[cfg(feature = "runtime")]
mod rpc;
#[cfg(feature = "runtime")]
mod sample;
#[cfg(feature = "runtime")]
mod site;
#[cfg(feature = "runtime")]
mod sources;
#[cfg(feature = "runtime")]
mod test;

#[cfg(feature = "runtime")]
pub(crate) use dev::dev;
#[cfg(feature = "runtime")]
pub(crate) use leash::leash;
#[cfg(feature = "runtime")]
pub(crate) use test::test;
