//! Reads the configuration, and the overrides of the command line.

#[cfg(feature = "runtime")]
mod admin;
#[cfg(feature = "runtime")]
mod cluster;
#[cfg(feature = "runtime")]
mod effects;
mod exposed;
mod file;
#[cfg(feature = "runtime")]
mod ledger;
mod log;
#[cfg(feature = "runtime")]
mod log_filter;
mod metrics;
#[cfg(feature = "runtime")]
mod notify;
#[cfg(feature = "runtime")]
mod query;
#[cfg(feature = "runtime")]
mod secret_url;
#[cfg(feature = "runtime")]
mod token;
#[cfg(feature = "otel")]
mod traces;
#[cfg(all(feature = "runtime", not(feature = "otel")))]
mod without_traces;

use std::path::Path;

use nexum_config::document::{ConfigError, ConfigErrors, Environment, Section};
use nexum_config::engine::{Config, ModuleConfig};

use crate::args::Files;
use crate::contract::METRICS_SECTION;
use crate::report::{Refusal, Refusals};

#[cfg(feature = "runtime")]
pub(crate) use admin::{Admin, AdminConfig};
#[cfg(feature = "runtime")]
pub(crate) use cluster::cluster;
#[cfg(feature = "runtime")]
pub(crate) use effects::EffectsConfig;
pub(crate) use file::ConfigFile;
#[cfg(feature = "runtime")]
pub(crate) use ledger::{LEDGER_DIR, LedgerConfig};
pub(crate) use log::LogConfig;
#[cfg(feature = "runtime")]
pub(crate) use log::LogFormat;
#[cfg(feature = "runtime")]
pub(crate) use log_filter::{Directives, Filter, LEVEL_HINT, LEVEL_TARGET, LEVEL_VARIABLES, level_variables, set};
#[cfg(feature = "runtime")]
pub(crate) use metrics::HealthBounds;
pub(crate) use metrics::MetricsConfig;
#[cfg(feature = "runtime")]
pub(crate) use notify::{NotifyConfig, Webhook};
#[cfg(feature = "runtime")]
pub(crate) use query::QueryConfig;
#[cfg(feature = "runtime")]
pub(crate) use secret_url::SecretUrl;
#[cfg(feature = "runtime")]
pub(crate) use token::{RIGHTS_REFUSED, Token};
#[cfg(feature = "otel")]
pub(crate) use traces::TracesConfig;
#[cfg(all(feature = "runtime", not(feature = "otel")))]
pub(crate) use without_traces::TracesConfig;

/// The operator's configuration.
#[derive(Default)]
#[cfg_attr(
    not(feature = "runtime"),
    allow(dead_code, reason = "a build that only checks files logs nothing")
)]
pub(crate) struct Configuration {
    /// The file that nexum has read, if there is one.
    pub(crate) file: ConfigFile,
    pub(crate) config: Config,
    /// The level and format of the log.
    pub(crate) log: LogConfig,
    /// The port for metrics.
    pub(crate) metrics: MetricsConfig,
    /// Remarks for the operator that are no errors, such as old names in the file: one line each.
    pub(crate) notices: Vec<String>,
}

/// Reads the configuration for a command that needs only the state directory: it asks the running
/// daemon, or opens the state. Other values can be faulty: an operator's shell has neither the
/// variables nor the credentials of the service.
///
/// # Errors
///
/// If the file cannot be read or is not TOML, or does not name the state directory correctly.
#[cfg(feature = "runtime")]
pub(crate) fn configure_state_dir(named: Option<&Path>) -> Result<Configuration, Refusals> {
    let mut errors = Vec::new();
    let configuration = configure_all(named, &mut errors)?;
    let Config { engine, root, .. } = &configuration.config;
    let has_engine = root.as_ref().is_some_and(|root| root.keys().any(|key| key == "engine"));
    // A table that is not read, because of other errors, may name the directory.
    if engine.is_some() || !has_engine {
        errors.retain(|error| error.is_about("engine.state_dir"));
    }
    ConfigErrors::check(errors)?;
    Ok(configuration)
}

/// Reads the configuration: the file `named` by the command line, or the one that
/// [`ConfigFile::choose`] finds. Without a file, every setting has its default. Adds to `errors` all
/// errors in the sections that the binary itself reads. The result has the defaults of the faulty
/// parts. Each capability checks its own section.
///
/// # Errors
///
/// If the file cannot be read or is not TOML.
pub(crate) fn configure_all(named: Option<&Path>, errors: &mut Vec<ConfigError>) -> Result<Configuration, Refusals> {
    let file = ConfigFile::choose(named);
    if let Some(notice) = file.absence() {
        return Ok(Configuration {
            file,
            notices: vec![notice],
            ..Configuration::default()
        });
    }
    let mut config = Config::load_all(file.path(), &Environment::process(), errors).map_err(|found| {
        let explain = |refusal| match found.is_not_found() {
            true => file.missing(refusal),
            false => refusal,
        };
        found.iter().map(Refusal::from).map(explain).collect::<Refusals>()
    })?;
    let engine = config.engine.as_ref();
    let log = engine.map_or_else(LogConfig::default, |engine| LogConfig::from_section(engine, errors));
    let metrics = config.sections.get(METRICS_SECTION);
    let mut notices = std::mem::take(&mut config.notices);
    let exposed = config.root.as_ref().and_then(|root| exposed::notice(file.path(), root));
    notices.extend(exposed);
    Ok(Configuration {
        file,
        log,
        metrics: read(metrics, MetricsConfig::from_section, errors),
        notices,
        config,
    })
}

/// Reads an optional section. Adds its errors to `errors`.
pub(crate) fn read<T: Default>(
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

/// The modules to run: the modules of the command line, or else of the configuration. `errors` are
/// those of the configuration.
///
/// # Errors
///
/// If there are none.
pub(crate) fn wanted(config: &Config, files: &Files, errors: &[ConfigError]) -> Result<Vec<ModuleConfig>, Refusal> {
    let mut modules: Vec<_> = files.modules().collect();
    if modules.is_empty() {
        modules.clone_from(&config.modules);
    }
    // A faulty table is a module too.
    if modules.is_empty() && !errors.iter().any(|error| error.is_about("modules")) {
        let refusal = Refusal::new("there are no modules");
        return Err(refusal.with_hint("name a component, or add [[modules]] to engine.toml"));
    }
    Ok(modules)
}
