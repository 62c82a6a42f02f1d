//! `nexum try` and `nexum replay`: modules on past blocks.

mod ranges;
mod recorded;
mod trying;
mod withheld;

use nexum_testing::Anvil;
use serde_json::{Value, json as value};

use crate::control::until;
use crate::{Dir, Ran};

/// An address that only the tests pay to.
const PAYEE: &str = "0x00000000000000000000000000000000000000aa";

/// Writes a module `NAME.wasm` with its manifest into a directory of its own.
pub(crate) fn module(dir: &Dir, name: &str, manifest: &str) {
    std::fs::create_dir_all(dir.path().join(name)).expect("a directory");
    let component = std::fs::read(nexum_testing::guests::component(name)).expect("a guest");
    dir.write(&format!("{name}/{name}.wasm"), component);
    dir.write(
        &format!("{name}/nexum.toml"),
        format!("[module]\nname = {name:?}\n{manifest}"),
    );
}

/// The table of a module that [`module`] has written.
pub(crate) fn table(name: &str) -> String {
    format!("[[modules]]\npath = \"{name}/{name}.wasm\"\n")
}

/// Writes a configuration for commands without a daemon.
fn configure(dir: &Dir, anvil: &Anvil, rest: &str) {
    let url = anvil.http_url();
    dir.write("engine.toml", format!("[chains.11155111]\nrpc_url = {url:?}\n{rest}"));
}

/// Runs a command, which ends with this exit code, and returns its JSON.
fn report(dir: &Dir, args: &[&str], code: i32) -> Value {
    let ran = dir.nexum(&[args, &["--format", "json"]].concat());
    assert_eq!(ran.code, Some(code), "{args:?}: {}{}", ran.stdout, ran.stderr);
    serde_json::from_str(&ran.stdout).expect("JSON")
}

/// Pays 1 wei to [`PAYEE`], in a block of its own.
async fn pay(anvil: &Anvil) {
    let accounts = anvil.request("eth_accounts", value!([])).await;
    let payment = value!({ "from": accounts[0], "to": PAYEE, "value": "0x1" });
    anvil.request("eth_sendTransaction", value!([payment])).await;
}

/// Waits until the daemon's module has handled this block.
async fn until_handled(dir: &Dir, module: &str, block: u64) {
    until(dir, &["state", "list", "--format", "json"], |list| {
        let rows = list.as_array().into_iter().flatten();
        let mut cursors = rows.filter(|row| row["module"] == module).map(|row| &row["cursors"][0]);
        cursors.any(|cursor| cursor["block"] == block && cursor["done"] == "block")
    })
    .await;
}

fn refused(ran: &Ran, parts: &[&str]) {
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    for part in parts {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}
