//! Reads the configuration, and what the command line says in place of a part of it.

use std::path::Path;

use nexum_config::document::Environment;
use nexum_config::engine::{Config, ModuleConfig};

use crate::args::{self, Load};
use crate::report::{Refusal, Refusals};

/// Reads the configuration; where none is there and none was named, its defaults and a sentence that says so.
pub(crate) fn configure(named: Option<&Path>) -> Result<(Config, Option<String>), Refusals> {
    let (path, may_be_missing) = args::config_path(named);
    match Config::load(path, &Environment::process()) {
        Ok(config) => Ok((config, None)),
        Err(errors) if may_be_missing && errors.is_not_found() => Ok((
            Config::default(),
            Some(format!("there is no {}: every setting has its default", path.display())),
        )),
        Err(errors) => Err(errors.into()),
    }
}

/// The modules that are wanted: those that the command line names, else those of the configuration.
///
/// # Errors
///
/// When there are none.
pub(crate) fn wanted(config: &Config, load: &Load) -> Result<Vec<ModuleConfig>, Refusal> {
    let modules = match load.modules.as_slice() {
        [] => config.modules.clone(),
        paths => paths.iter().map(ModuleConfig::new).collect(),
    };
    if modules.is_empty() {
        let refusal = Refusal::new("there are no modules");
        return Err(refusal.with_hint("name a component, or add [[modules]] to engine.toml"));
    }
    Ok(modules)
}
