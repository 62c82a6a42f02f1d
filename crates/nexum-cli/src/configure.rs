//! Reads the configuration, and what the command line says in place of a part of it.

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

/// What the operator configured.
#[derive(Default)]
#[cfg_attr(
    not(feature = "runtime"),
    allow(dead_code, reason = "a build that only checks files logs nothing")
)]
pub(crate) struct Configuration {
    pub(crate) config: Config,
    /// What the binary logs.
    pub(crate) log: LogConfig,
    /// Where metrics can be read.
    pub(crate) metrics: MetricsConfig,
    /// A sentence for the operator, where there is no file.
    pub(crate) notice: Option<String>,
}

/// Reads the configuration. Where the file is missing and the command line names none, every setting has its default.
///
/// # Errors
///
/// Everything that is wrong with what the binary itself reads; the sections of capabilities are left to them.
pub(crate) fn configure(named: Option<&Path>) -> Result<Configuration, Refusals> {
    let (path, may_be_missing) = args::config_path(named);
    match Config::load(path, &Environment::process()) {
        Ok(config) => Ok(Configuration::of(config)?),
        Err(errors) if may_be_missing && errors.is_not_found() => Ok(Configuration {
            notice: Some(format!("there is no {}: every setting has its default", path.display())),
            ..Configuration::default()
        }),
        Err(errors) => Err(errors.into()),
    }
}

impl Configuration {
    /// Adds to `config` the sections that the binary reads itself.
    fn of(config: Config) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let log = read(config.engine.as_ref(), LogConfig::from_section, &mut errors);
        let metrics = config.sections.get(METRICS_SECTION);
        let metrics = read(metrics, MetricsConfig::from_section, &mut errors);
        ConfigErrors::check(errors)?;
        Ok(Self {
            config,
            log,
            metrics,
            notice: None,
        })
    }
}

/// Reads a section that may be missing. Adds to `errors` everything that is wrong with it.
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
