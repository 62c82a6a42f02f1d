//! The contracts that tests put on a local chain: Solidity of this project, and contracts of npm
//! packages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use nexum_build::tools::install_locked_from_npm;

use crate::{
    cache, paths,
    process::{self, Steps, explain},
};

/// The environment variable with the path of the compiled contracts: a JSON object with the creation
/// code of each contract by its name.
pub(crate) const VARIABLE: &str = "NEXUM_CONTRACTS";

/// The packages with the compiler and the contracts, and the lock file that pins each by version and
/// digest.
const PACKAGE: &str = include_str!("contracts/package.json");
const LOCK: &str = include_str!("contracts/package-lock.json");

/// npm's settings: the peers of the packages are not needed.
const SETTINGS: &str = "legacy-peer-deps=true\n";

/// The program that compiles the sources, for Node.js.
const COMPILE: &str = include_str!("contracts/compile.cjs");

/// The path of the compiled contracts. Compiles them first if the sources have changed.
pub(crate) fn ensure() -> Result<PathBuf> {
    let sources = paths::root().join("crates/nexum-testing/solidity");
    let mut parts = vec![LOCK.into(), COMPILE.into()];
    for path in solidity(&sources)? {
        parts.push(path.file_name().unwrap_or_default().as_encoded_bytes().to_vec());
        parts.push(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    let output = "contracts.json";
    let compiled = cache::once(&cache::named("contracts", &parts), |directory| {
        let program = directory.join("compile.cjs");
        fs::write(&program, COMPILE)?;
        let mut node = Command::new("node");
        node.args([&program, &packages()?, &sources, &directory.join(output)]);
        process::run(&mut node)
    })?;
    Ok(compiled.join(output))
}

/// The directory with the packages of npm. Fetches them first if they are absent.
fn packages() -> Result<PathBuf> {
    cache::once(&cache::named("contract-packages", &[LOCK.into()]), |directory| {
        fs::write(directory.join(".npmrc"), SETTINGS)?;
        install_locked_from_npm(PACKAGE, LOCK, directory, &Steps).map_err(explain)
    })
}

/// The sources, in a fixed order.
fn solidity(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sol"));
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_are_in_a_fixed_order() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["B.sol", "A.sol", "notes.md"] {
            fs::write(directory.path().join(name), "").expect("a file");
        }
        let found = solidity(directory.path()).expect("paths");
        assert_eq!(found, ["A.sol", "B.sol"].map(|name| directory.path().join(name)));
    }
}
