//! The cost of conditional orders in a whole nexum.

use std::process::Command;

use anyhow::Result;
use serde_json::Value;

use super::{file, read};
use crate::{anvil, contracts, paths, process};

/// The bench, a target of the binary's package.
const BENCH: &str = "conditional-orders";

/// The figures of the module `twap` on a local chain, beside those of the public watch-tower.
pub(super) fn measure() -> Result<Vec<Value>> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::root())
        .args(["bench", "--locked", "--workspace", "--all-features", "--bench", BENCH]);
    cargo
        .env(anvil::VARIABLE, anvil::ensure()?)
        .env(contracts::VARIABLE, contracts::ensure()?);
    process::run(&mut cargo)?;
    read(&file(BENCH))
}
