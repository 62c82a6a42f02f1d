//! `nexum check` without the runtime: checks engine.toml and every manifest, as far as possible
//! without a component.

use std::collections::BTreeSet;

use nexum_config::document::{ConfigError, Section};
use nexum_config::engine::{Config, ModuleConfig};
use nexum_config::manifest::{MANIFEST_FILE, Manifest};
use nexum_config::names::ModuleName;
use serde::Serialize;

use super::version;
use crate::args::{Check, Format};
use crate::configure::{Configuration, configure, wanted};
use crate::contract::{AMBIENT, CONTRACT, METRICS_SECTION, QUERY_SECTION, STORE_SECTION};
use crate::exit_code::{REFUSED, STOPPED};
use crate::report::print::{errln, json_on_stdout, outln};
use crate::report::{Refusal, Refusals, list, table};

/// The result of a check, and the features of the build that made it.
#[derive(Default, Serialize)]
struct Findings {
    features: [&'static str; 0],
    modules: Vec<Finding>,
    warnings: Vec<String>,
    errors: Refusals,
}

/// A module with a manifest without errors.
#[derive(Serialize)]
struct Finding {
    name: String,
    path: String,
    subscriptions: Vec<String>,
}

/// Checks the configuration and the manifests, and prints the result.
///
/// # Errors
///
/// If the result cannot be printed.
pub(crate) fn check(args: &Check) -> Result<u8, Refusals> {
    let mut findings = Findings::default();
    if let Err(errors) = findings.look(args) {
        findings.errors.extend(errors);
    }
    match args.format {
        Format::Json => json_on_stdout(&findings)?,
        Format::Text => findings.print(),
    }
    Ok(if findings.errors.is_empty() { STOPPED } else { REFUSED })
}

impl Findings {
    fn look(&mut self, args: &Check) -> Result<(), Refusals> {
        let Configuration { config, notices, .. } = configure(args.load.config.as_deref())?;
        self.warnings.extend(notices);
        self.sections(&config);
        let modules = wanted(&config, &args.load)?;
        let chains = config.chains.keys().copied().collect();
        for module in &modules {
            match self.module(module, &chains) {
                Ok(finding) => self.modules.push(finding),
                Err(errors) => self.errors.extend(errors),
            }
        }
        Ok(())
    }

    /// Checks the names of the sections. Only the capabilities can check the content, and this
    /// build has none.
    fn sections(&mut self, config: &Config) {
        if !config.chains.is_empty() {
            self.warnings
                .push("[chains] is not checked: this build lacks the capability `chain`".to_owned());
        }
        for (name, section) in config.sections.iter().filter(|(name, _)| *name != METRICS_SECTION) {
            if [QUERY_SECTION, STORE_SECTION].contains(&name.as_str()) {
                self.warnings
                    .push(format!("[{name}] is not checked: this build lacks the runtime"));
                continue;
            }
            match CONTRACT.iter().find(|(known, ..)| known == name) {
                Some((.., Some(_))) => self
                    .warnings
                    .push(format!("[{name}] is not checked: this build lacks the capability")),
                Some((.., None)) => self.refuse(&no_build_has(section, name)),
                None => {
                    let error = section.location("").error("unknown section");
                    let known = CONTRACT.iter().map(|(known, ..)| *known).chain([
                        "engine",
                        "chains",
                        METRICS_SECTION,
                        "modules",
                        QUERY_SECTION,
                    ]);
                    self.refuse(&error.with_nearest(name, known));
                }
            }
        }
    }

    fn module(&mut self, module: &ModuleConfig, chains: &BTreeSet<u64>) -> Result<Finding, Refusals> {
        let path = module.path.display().to_string();
        let manifest = Manifest::of_module(module)?;
        if manifest.is_none() {
            self.warnings.push(format!(
                "{path}: there is no {MANIFEST_FILE} beside the component, so the module has no subscriptions"
            ));
        }
        let mut manifest = manifest.unwrap_or_default();
        self.warnings.append(&mut manifest.notices);
        let mut errors = Refusals::from_iter(requests(&manifest).iter().map(Refusal::from));
        for chain_id in manifest.missing_chains(chains) {
            let refusal = Refusal::new(format!("the module needs chain {chain_id}, which is not configured"));
            let hint = format!("add [chains.{chain_id}] with an `rpc_url` to engine.toml");
            errors.extend(refusal.with_hint(hint).about(&path).into());
        }
        let name = module.name.clone().or(manifest.name);
        let name = name.map_or_else(|| ModuleName::of_file(module.path.shown()), Ok);
        match name {
            Err(error) => errors.extend(
                Refusal::of(&error)
                    .with_hint("give the module a `name` in engine.toml or in its manifest")
                    .about(&path)
                    .into(),
            ),
            Ok(name) if self.modules.iter().any(|other| other.name == name.as_str()) => errors.extend(
                Refusal::new(format!("two modules are called `{name}`"))
                    .with_hint("give one of them another `name` in engine.toml")
                    .about(&path)
                    .into(),
            ),
            Ok(name) if errors.is_empty() => {
                return Ok(Finding {
                    name: name.to_string(),
                    path,
                    subscriptions: manifest.subscriptions.iter().map(ToString::to_string).collect(),
                });
            }
            Ok(_) => {}
        }
        Err(errors)
    }

    fn refuse(&mut self, error: &ConfigError) {
        self.errors.extend(Refusal::from(error).into());
    }

    fn print(&self) {
        for module in &self.modules {
            outln!("{} ({})", module.name, module.path);
            let mut rows = table(&[]);
            rows.add_row(["  subscriptions", &list(&module.subscriptions)]);
            outln!("{rows}\n");
        }
        for warning in &self.warnings {
            errln!("warning: {warning}");
        }
        self.errors.print();
        let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        outln!(
            "{} without fault except for the component, which was not checked; {}, by nexum {}",
            count(self.modules.len(), "module"),
            count(self.errors.len(), "error"),
            version()
        );
    }
}

/// The errors in the names of capabilities in a manifest.
fn requests(manifest: &Manifest) -> Vec<ConfigError> {
    let bare = |interface: &'static str| {
        let name = interface.split_once('@').map_or(interface, |(name, _)| name);
        name.rsplit_once('/').map_or(name, |(_, name)| name)
    };
    let answers = |(known, interfaces, _): &(&str, &[&'static str], _), name: &str| {
        *known == name || interfaces.iter().any(|interface| bare(interface) == name)
    };
    let is_known = |name: &str| AMBIENT.contains(&name) || CONTRACT.iter().any(|known| answers(known, name));
    let names = CONTRACT.iter().map(|(known, ..)| *known).chain(AMBIENT);
    let requests = manifest.capabilities.as_ref();
    let mut errors = requests.map_or_else(Vec::new, |requests| requests.unknown(is_known, names.clone()));
    for name in requests.into_iter().flat_map(|requests| &requests.required) {
        if CONTRACT
            .iter()
            .any(|known| answers(known, &name.value) && known.2.is_none())
        {
            let message = format!("no build of this version has the capability `{}`", name.value);
            errors.push(name.location.error(message));
        }
    }
    let settings = requests.into_iter().flat_map(|requests| &requests.settings);
    for (name, section) in manifest.settings.iter().chain(settings) {
        if !is_known(name) {
            let error = section.location("").error("there is no such capability");
            errors.push(error.with_nearest(name, names.clone()));
        }
    }
    errors
}

fn no_build_has(section: &Section, name: &str) -> ConfigError {
    let message = format!("no build of this version has the capability `{name}`");
    section.location("").error(message)
}
