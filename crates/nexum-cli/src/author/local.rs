//! A project on local chains: its builds, its chains, and the daemon that runs its module.

pub(super) mod builds;
pub(super) mod chains;
mod configured_chain;
pub(super) mod daemon;
pub(super) mod leash;
pub(super) mod log;
pub(super) mod record;
pub(super) mod reports;
pub(super) mod rpc;
pub(super) mod sample;
pub(super) mod site;
pub(super) mod sources;
