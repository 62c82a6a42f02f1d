//! Reads the configuration.

use std::path::Path;

use nexum_core::config::Config;
use nexum_core::document::Environment;

use crate::args;
use crate::report::Refusals;

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
