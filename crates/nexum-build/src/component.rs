//! Makes a component of a compiler's output, and checks it against the contract.

mod names;

use std::path::PathBuf;

use nexum_config::component::{COMPONENT_BYTES_MAX, ComponentError, ComponentFile, is_core_module};
use nexum_config::interface::{AMBIENT, CAPABILITIES, WASI, serves};
use nexum_config::names::ModuleName;
use wit_component::ComponentEncoder;

use crate::Error;

/// The packages of the contract and of WASI.
const PACKAGES: [&str; 4] = ["nexum:host/", "nexum:functions/", "shepherd:cow/", "wasi:"];

/// Checks the output of a compiler: a component within the size of the loader, that fits a world of the
/// contract by the names of its exports and by the names and versions of its imports. The loader
/// compares the types later.
pub(crate) fn check(name: &ModuleName, bytes: Vec<u8>) -> Result<ComponentFile, Error> {
    let path = PathBuf::from(format!("{name}.wasm"));
    if bytes.len() as u64 > COMPONENT_BYTES_MAX {
        return Err(ComponentError::TooLarge { path }.into());
    }
    let file = ComponentFile::parse(&path, bytes)?;
    if file.summary.kind().is_none() {
        return Err(Error::NoModule {
            name: name.clone(),
            exports: file.summary.exports.join(", "),
        });
    }
    let imports = file.summary.imports.iter();
    let unserved: Vec<_> = imports.filter(|import| !can_be_served(import)).cloned().collect();
    match unserved.is_empty() {
        true => Ok(file),
        false => Err(Error::Unserved {
            name: name.clone(),
            imports: unserved.join(", "),
        }),
    }
}

/// Whether an import is of the contract or of WASI. A program that embeds nexum can serve others.
pub(crate) fn is_of_contract(import: &str) -> bool {
    PACKAGES.iter().any(|package| import.starts_with(package))
}

/// Whether a host can serve an import: nexum, or for another package a program that embeds it.
fn can_be_served(import: &str) -> bool {
    let of_capabilities = CAPABILITIES.iter().map(|(_, interfaces)| *interfaces);
    let mut served = AMBIENT.into_iter().chain([WASI]).chain(of_capabilities).flatten();
    !is_of_contract(import) || is_types(import) || served.any(|interface| serves(interface, import))
}

/// Whether an interface of the contract only has types, which need nothing of a host.
fn is_types(import: &str) -> bool {
    let name = import.split_once('@').map_or(import, |(name, _)| name);
    name.ends_with("/types") && !name.starts_with("wasi:")
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

/// A component with short names of functions.
pub(crate) fn shorten(name: &ModuleName, component: &[u8]) -> Result<Vec<u8>, Error> {
    names::shorten(component).map_err(|error| Error::Encode {
        name: name.clone(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::PACKAGES as FILES;

    /// An event module with this import.
    fn component(import: &str) -> Vec<u8> {
        let text = format!(
            "(component (import \"{import}\" (instance))
                (core module $m (func (export \"f\")))
                (core instance $i (instantiate $m))
                (func $f (canon lift (core func $i \"f\")))
                (export \"init\" (func $f))
                (export \"on-event\" (func $f)))"
        );
        wat::parse_str(text).expect("a component")
    }

    fn checked(bytes: Vec<u8>) -> Result<(), String> {
        let name = "watch".parse().expect("a name");
        check(&name, bytes).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn refuses_an_import_that_nexum_does_not_serve() {
        for import in [
            "nexum:host/chain@0.3.0",
            "nexum:host/nothing@0.2.0",
            "wasi:config/store@0.2.0",
        ] {
            let expected = format!("watch imports {import}, which nexum does not serve");
            assert_eq!(checked(component(import)), Err(expected));
        }
        for import in [
            "nexum:host/chain@0.1.0",
            "nexum:host/logging@0.2.4",
            "nexum:host/types@0.1.0",
            "nexum:functions/context@0.1.0",
            "wasi:io/streams@0.2.12",
            "wasi:http/types@0.2.12",
            "embed:prices/prices@0.1.0",
        ] {
            assert_eq!(checked(component(import)), Ok(()), "{import}");
        }
    }

    #[test]
    fn accepts_every_interface_of_the_contract() {
        for (path, _) in FILES.iter().filter(|(path, _)| path.starts_with("nexum-host/")) {
            let name = path.trim_start_matches("nexum-host/").trim_end_matches(".wit");
            let import = format!("nexum:host/{name}@0.2.0");
            // This file has no interface.
            assert_eq!(can_be_served(&import), name != "worlds", "{import}");
        }
    }

    #[test]
    fn refuses_a_component_that_the_loader_finds_too_large() {
        let mut bytes = component("nexum:host/chain@0.2.0");
        let length = usize::try_from(COMPONENT_BYTES_MAX).expect("a length") + 1;
        bytes.resize(length, 0);
        let expected = format!("watch.wasm is larger than {COMPONENT_BYTES_MAX} bytes");
        assert_eq!(checked(bytes), Err(expected));
    }
}
