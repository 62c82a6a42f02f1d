//! Makes a component of a compiler's output, and checks it against the contract.

use std::path::PathBuf;

use nexum_config::component::{ComponentFile, is_core_module};
use nexum_config::names::ModuleName;
use wit_component::ComponentEncoder;

use crate::Error;

/// Checks the output of a compiler: a component that fits a world of the contract by its names. The
/// loader compares the types later.
pub(crate) fn check(name: &ModuleName, bytes: Vec<u8>) -> Result<ComponentFile, Error> {
    let path = PathBuf::from(format!("{name}.wasm"));
    let file = ComponentFile::parse(&path, bytes)?;
    if file.summary.kind().is_none() {
        return Err(Error::NoModule {
            name: name.clone(),
            exports: file.summary.exports.join(", "),
        });
    }
    Ok(file)
}

/// The component of a core module whose sections describe its world, as bindings of `wit-bindgen`
/// write them. Returns a component as it is.
pub(crate) fn encode(name: &ModuleName, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    if !is_core_module(&bytes) {
        return Ok(bytes);
    }
    let encode = |bytes: &[u8]| ComponentEncoder::default().validate(true).module(bytes)?.encode();
    encode(&bytes).map_err(|error| Error::Encode {
        name: name.clone(),
        reason: format!("{error:#}"),
    })
}
