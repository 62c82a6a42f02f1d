//! Modules that write an entry for each block of one chain.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{anvil::CHAIN_ID, paths};

/// The guest of the modules.
pub(crate) const GUEST: &str = "journal";

/// Writes the manifests of modules with these names, and returns the configuration of the chain and the modules.
pub(crate) fn write(directory: &Path, url: &str, names: &[String]) -> Result<String> {
    let quote = |path: &Path| toml_edit::Value::from(path.to_string_lossy().as_ref()).to_string();
    let component = paths::built_modules().join(GUEST).join(format!("{GUEST}.wasm"));
    let mut text = format!("[chains.{CHAIN_ID}]\nrpc_url = \"{url}\"\n");
    for name in names {
        let manifest = directory.join(format!("{name}.toml"));
        fs::write(
            &manifest,
            format!(
                "[module]\nname = \"{name}\"\n[capabilities]\nrequired = [\"store\"]\n\
                 [[subscription]]\nkind = \"block\"\nchain_id = {CHAIN_ID}\nfrom_block = 0\n"
            ),
        )
        .with_context(|| format!("cannot write {}", manifest.display()))?;
        let (component, manifest) = (quote(&component), quote(&manifest));
        text += &format!("\n[[modules]]\nname = \"{name}\"\npath = {component}\nmanifest = {manifest}\n");
    }
    Ok(text)
}
