//! Reads the configuration, and the overrides of the command line.

mod log;
mod metrics;

use std::path::Path;

use nexum_config::document::{ConfigError, ConfigErrors, Environment, Section};
use nexum_config::engine::{Config, ModuleConfig};

use crate::args::{self, Load};
use crate::contract::METRICS_SECTION;
use crate::report::{Refusal, Refusals};

pub(crate) use log::LogConfig;
#[cfg(feature = "runtime")]
pub(crate) use log::LogFormat;
pub(crate) use metrics::MetricsConfig;

/// The operator's configuration.
#[derive(Default)]
#[cfg_attr(
    not(feature = "runtime"),
    allow(dead_code, reason = "a build that only checks files logs nothing")
)]
pub(crate) struct Configuration {
    pub(crate) config: Config,
    /// The level and format of the log.
    pub(crate) log: LogConfig,
    /// The port for metrics.
    pub(crate) metrics: MetricsConfig,
    /// Remarks for the operator that are no errors, such as old names in the file: one line each.
    pub(crate) notices: Vec<String>,
}

/// Reads the configuration. Without a file and without `--config`, every setting has its default.
///
/// # Errors
///
/// All errors in the sections that the binary itself reads. Each capability checks its own section.
pub(crate) fn configure(named: Option<&Path>) -> Result<Configuration, Refusals> {
    let (path, may_be_missing) = args::config_path(named);
    match Config::load(path, &Environment::process()) {
        Ok(config) => Ok(Configuration::of(config)?),
        Err(errors) if may_be_missing && errors.is_not_found() => Ok(Configuration {
            notices: vec![format!("there is no {}: every setting has its default", path.display())],
            ..Configuration::default()
        }),
        Err(errors) => Err(errors.into()),
    }
}

impl Configuration {
    /// Reads the sections of the binary, in addition to `config`.
    fn of(mut config: Config) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let log = read(config.engine.as_ref(), LogConfig::from_section, &mut errors);
        let metrics = config.sections.get(METRICS_SECTION);
        let metrics = read(metrics, MetricsConfig::from_section, &mut errors);
        ConfigErrors::check(errors)?;
        Ok(Self {
            notices: std::mem::take(&mut config.notices),
            config,
            log,
            metrics,
        })
    }
}

/// Reads an optional section. Adds its errors to `errors`.
fn read<T: Default>(
    section: Option<&Section>,
    from_section: fn(&Section) -> Result<T, ConfigErrors>,
    errors: &mut Vec<ConfigError>,
) -> T {
    let read = section.map(from_section).transpose();
    read.map_err(|found| errors.extend(found))
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// The modules to run: the modules of the command line, or else of the configuration.
///
/// # Errors
///
/// If there are none.
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
