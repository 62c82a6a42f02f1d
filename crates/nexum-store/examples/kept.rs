//! Shows what modules keep, while no nexum runs: `kept BACKEND STATE_DIR MODULE...`.
//!
//! One line for each key: the module, and then the key and its value in hexadecimal digits.
#![expect(clippy::print_stdout, reason = "printing is what it does")]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use nexum_config::names::ModuleName;
use nexum_core::state::admin;
use nexum_store::{Backend, StoreConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [backend, state_dir, modules @ ..] = arguments.as_slice() else {
        return Err("usage: kept BACKEND STATE_DIR MODULE...".into());
    };
    let mut config = StoreConfig::default();
    config.backend = match backend.as_str() {
        "redb" => Backend::Redb,
        "sled" => Backend::Sled,
        other => return Err(format!("{other} is no back-end that keeps a file").into()),
    };
    let store = config.open(&Path::new(state_dir).into(), "kept")?;
    let view = store.frozen()?;
    for module in modules {
        let name: ModuleName = module.parse()?;
        admin::scan(&*view, &name, b"", &mut |key, value| {
            println!("{module} {} {}", hex(key), hex(value));
            ControlFlow::Continue(())
        })?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
