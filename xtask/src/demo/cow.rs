//! `cargo xtask demo --cow`: the module `twap` on a local chain with conditional orders.

use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{anvil, contracts, guests, nexum, process};

/// The modules of the demo.
const MODULES: [&str; 2] = ["ethflow", "twap"];

/// The program of the demo, an example of the binary's package.
const PROGRAM: &str = "cow-demo";

/// Runs until Ctrl-C, or for so many blocks. Fails if a part of an order is posted twice or missed.
pub(crate) fn run(orders: Option<u64>, blocks: Option<u64>) -> Result<()> {
    process::step("build the modules", || guests::build(&MODULES.map(String::from)))?;
    let contracts = process::step("compile the contracts", contracts::ensure)?;
    let programs = process::step("build nexum and the demo", || nexum::build_with(PROGRAM, false))?;
    let mut command = Command::new(programs.join("examples").join(PROGRAM));
    command
        .arg(programs.join("nexum"))
        .env(anvil::VARIABLE, anvil::ensure()?)
        .env(contracts::VARIABLE, contracts);
    for (option, value) in [("--orders", orders), ("--blocks", blocks)] {
        if let Some(value) = value {
            command.arg(option).arg(value.to_string());
        }
    }
    let child = command.spawn();
    let mut child = child.with_context(|| format!("cannot start `{}`", process::line(&command)))?;
    end_with(&child)?;
    let status = child.wait()?;
    ensure!(status.success(), "`{}` ended with {status}", process::line(&command));
    Ok(())
}

/// Hands an interrupt on, so that the program stops its own processes and prints its totals.
fn end_with(child: &Child) -> Result<()> {
    let id = Pid::from_child(child);
    Ok(ctrlc::set_handler(move || {
        // The program may have ended already.
        let _ = kill_process(id, Signal::TERM);
    })?)
}
