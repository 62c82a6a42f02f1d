//! Shows what modules keep, while no nexum runs: `kept BACKEND STATE_DIR MODULE...`.
//!
//! `kept rows - MODULE...` reads the rows of a store from its input, as lines with the key and the value of a
//! row in hexadecimal digits.
//!
//! One line for each key: the module, and then the key and its value in hexadecimal digits.
#![expect(clippy::print_stdout, reason = "printing is what it does")]

use std::error::Error;
use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_core::state::admin;
use nexum_core::store::Batch;
use nexum_core::{MemoryStore, StateStore};
use nexum_store::{Backend, StoreConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [backend, state_dir, modules @ ..] = arguments.as_slice() else {
        return Err("usage: kept BACKEND STATE_DIR MODULE...".into());
    };
    let store = match backend.as_str() {
        "redb" => open(Backend::Redb, state_dir)?,
        "sled" => open(Backend::Sled, state_dir)?,
        "fjall" => open(Backend::Fjall, state_dir)?,
        "rows" => read(std::io::stdin().lock())?,
        other => return Err(format!("{other} is no back-end that keeps a file").into()),
    };
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

fn open(backend: Backend, state_dir: &str) -> Result<Arc<dyn StateStore>, Box<dyn Error>> {
    let mut config = StoreConfig::default();
    config.backend = backend;
    Ok(config.open(&Path::new(state_dir).into(), "kept")?)
}

/// A store with the rows of these lines.
fn read(lines: impl BufRead) -> Result<Arc<dyn StateStore>, Box<dyn Error>> {
    let mut batch = Batch::default();
    for line in lines.lines() {
        let line = line?;
        let row = line
            .split_once('\t')
            .and_then(|(key, value)| Some((bytes(key)?, bytes(value)?)));
        let (key, value) = row.ok_or_else(|| format!("{line:?} is no row"))?;
        batch.set(key, value);
    }
    let store = MemoryStore::new();
    store.write(&batch)?;
    Ok(Arc::new(store))
}

/// Decodes hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
