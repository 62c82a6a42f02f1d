//! The local Ethereum node of the demo and the tests.

use std::path::PathBuf;

use anyhow::Result;
use nexum_build::anvil::{self, Options};

use crate::{
    cache,
    process::{Steps, explain},
};

pub(crate) use nexum_build::anvil::{Anvil, VARIABLE};

/// Sepolia, a chain that every part of the project supports, including CoW Protocol's libraries.
pub(crate) const CHAIN_ID: u64 = 11_155_111;

/// Returns the path of anvil: on this machine, or from npm, fetched once.
pub(crate) fn ensure() -> Result<PathBuf> {
    match anvil::installed() {
        Some(path) => Ok(path),
        None => anvil::fetch(&cache::cache()?, &Steps).map_err(explain),
    }
}

/// Starts anvil on a free port with these arguments, as the chain [`CHAIN_ID`].
pub(crate) fn start(arguments: &[&str]) -> Result<Anvil> {
    start_chain(CHAIN_ID, arguments)
}

/// Starts anvil on a free port with these arguments, as the given chain.
pub(crate) fn start_chain(chain_id: u64, arguments: &[&str]) -> Result<Anvil> {
    let options = Options {
        chain_id: Some(chain_id),
        more: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        ..Options::default()
    };
    let starting = anvil::Starting::spawn(options.command(&ensure()?)).map_err(explain)?;
    starting.wait(&Steps).map_err(explain)
}
