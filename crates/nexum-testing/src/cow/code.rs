//! The creation code of the contracts, which `cargo xtask contracts` compiles.

use std::collections::HashMap;
use std::path::PathBuf;

use alloy_primitives::Bytes;

/// The environment variable with the path of the compiled contracts.
const VARIABLE: &str = "NEXUM_CONTRACTS";

/// The creation code of contracts by their names.
#[derive(Clone, Debug)]
pub struct Contracts(HashMap<String, Bytes>);

impl Contracts {
    /// Reads the file that `NEXUM_CONTRACTS` names.
    ///
    /// # Panics
    ///
    /// If the variable is not set, or the file is not what `cargo xtask contracts` writes.
    pub fn load() -> Self {
        let path = std::env::var_os(VARIABLE).map(PathBuf::from).unwrap_or_else(|| {
            panic!(
                "{VARIABLE} is not set\nhint: run `cargo xtask test`, or set it to the path that `cargo xtask contracts` prints"
            )
        });
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        Self(serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// The creation code of a contract, followed by the encoded arguments of its constructor.
    ///
    /// # Panics
    ///
    /// If no contract has this name.
    pub fn creation(&self, name: &str, arguments: &[u8]) -> Bytes {
        let code = self
            .0
            .get(name)
            .unwrap_or_else(|| panic!("no contract is called {name}"));
        [code, arguments].concat().into()
    }
}
