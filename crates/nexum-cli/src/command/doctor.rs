//! `nexum doctor`: looks at everything that an installation needs, with a remedy for each fault.
//!
//! `nexum check --online` prints the findings about endpoints and the clock ([`online`]) after its own
//! report. `nexum support-bundle` stores all findings ([`examine`]).

mod clock;
mod configuration;
mod daemon;
mod database;
mod disk;
mod machine;
mod modules;
mod port;
mod rights;

use std::path::Path;

use nexum_config::engine::Config;
use nexum_core::module::Candidate;
use serde::Serialize;

use crate::args::{Files, Format, Running};
use crate::compose;
use crate::configure::{ConfigFile, MetricsConfig};
use crate::modules::{Plan, Settings};
use crate::process;
use crate::report::findings::{self, Area, Finding};
use crate::report::print::json_on_stdout;
use crate::report::{Refusal, Refusals};

pub(crate) use port::reachable;

/// The findings, and the build that made them.
#[derive(Serialize)]
pub(crate) struct Report {
    version: &'static str,
    features: Vec<&'static str>,
    pub(crate) findings: Vec<Finding>,
}

/// An installation: its configuration, and the modules whose files pass every check that needs no
/// compiler.
pub(crate) struct Installation {
    pub(crate) file: ConfigFile,
    pub(crate) config: Config,
    pub(crate) metrics: MetricsConfig,
    pub(crate) candidates: Vec<Candidate>,
    /// The findings about the configuration and the modules' files.
    findings: Vec<Finding>,
}

/// Looks at the installation, and prints the findings. Returns the exit code.
///
/// # Errors
///
/// If the configuration is unreadable or not TOML: nexum then knows neither the state directory nor
/// the endpoints.
pub(crate) fn doctor(running: &Running, format: Format) -> Result<u8, Refusals> {
    let installation = Installation::read(running.config.as_deref())?;
    let report = examine(&installation)?;
    match format {
        Format::Json => json_on_stdout(&report)?,
        Format::Text => findings::print(&report.findings),
    }
    Ok(findings::exit_code(&report.findings))
}

impl Installation {
    /// Reads the configuration and the files of the modules. Compiles nothing, and calls no module.
    ///
    /// # Errors
    ///
    /// If the configuration is unreadable or not TOML.
    pub(crate) fn read(config: Option<&Path>) -> Result<Self, Refusals> {
        let files = Files {
            config: config.map(Into::into),
            ..Files::default()
        };
        let Plan {
            file,
            config,
            metrics,
            host,
            warnings,
            errors,
            ..
        } = Settings::read(files)?.plan();
        let mut inspection = process::block_on(host.inspect())?;
        inspection.warn_of_missing_reads();
        let mut findings = configuration::findings(&file, &warnings, &errors);
        findings.extend(modules::of_files(
            &inspection.candidates,
            &inspection.errors,
            &inspection.warnings,
        ));
        Ok(Self {
            file,
            config,
            metrics,
            candidates: inspection.candidates,
            findings,
        })
    }
}

/// Looks at everything. Writes nothing that stays.
///
/// # Errors
///
/// If the system starts no threads.
pub(crate) fn examine(installation: &Installation) -> Result<Report, Refusal> {
    let Installation { config, candidates, .. } = installation;
    let (version, features) = (env!("CARGO_PKG_VERSION"), compose::features());
    let mut all = vec![Area::Build.ok(format!("nexum {version}"), features.join(", "))];
    all.extend(installation.findings.iter().cloned());
    let daemon = daemon::find(&config.state_dir);
    all.extend(rights::findings(config));
    all.extend(disk::findings(&config.state_dir));
    all.extend(daemon.findings());
    all.extend(port::finding(config, &daemon));
    all.extend(modules::of_daemon(&config.state_dir, &daemon));
    all.extend(machine::findings(config, candidates, daemon.pid()));
    all.push(clock::synchronisation());
    all.extend(process::block_on(online(config))?);
    Ok(Report {
        version,
        features,
        findings: all,
    })
}

/// The findings that need the network: the database of the state, endpoints, and the clock against the
/// heads of their chains.
pub(crate) async fn online(config: &Config) -> Vec<Finding> {
    let mut findings = database::findings(config).await;
    findings.extend(compose::probe(config).await);
    if findings.iter().all(|finding| finding.area != Area::Clock) {
        let text = "no endpoint gave a head to compare the clock with";
        let remedy = "`nexum chains` shows why the endpoints give none; `timedatectl` shows the clock";
        findings.push(Area::Clock.unknown("system clock", text, remedy));
    }
    findings
}
