//! `nexum check` without the runtime: checks engine.toml and every manifest, as far as possible
//! without a component.

use std::collections::BTreeSet;
use std::path::Path;

use nexum_config::command::CommandFile;
use nexum_config::document::{ConfigError, Section};
use nexum_config::engine::{Config, ModuleConfig};
use nexum_config::interface::bare_name;
use nexum_config::manifest::{MANIFEST_FILE, Manifest, UnknownCapabilities};
use nexum_config::names::ModuleName;
use serde::Serialize;

use super::version;
use crate::args::{Check, Format, Load};
use crate::command::command_files;
use crate::configure::{Configuration, configure, wanted};
use crate::contract::{AMBIENT, CONTRACT, METRICS_SECTION, QUERY_SECTION, STORE_SECTION, Served};
use crate::exit_code::{REFUSED, STOPPED};
use crate::report::print::{errln, json_on_stdout, outln};
use crate::report::{Refusal, Refusals, list, table};

/// The result of a check, and the features of the build that made it.
#[derive(Default, Serialize)]
struct Findings {
    features: [&'static str; 0],
    modules: Vec<Finding>,
    commands: Vec<command_files::Finding>,
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
    let (load, commands) = command_files::split(&args.load);
    let only_commands = load.modules.is_empty() && !commands.is_empty();
    if !only_commands && let Err(errors) = findings.look(&load) {
        findings.errors.extend(errors);
    }
    for path in &commands {
        findings.command(path)?;
    }
    match args.format {
        Format::Json => json_on_stdout(&findings)?,
        Format::Text => findings.print(only_commands),
    }
    Ok(if findings.errors.is_empty() { STOPPED } else { REFUSED })
}

impl Findings {
    fn look(&mut self, load: &Load) -> Result<(), Refusals> {
        let Configuration { config, notice, .. } = configure(load.config.as_deref())?;
        self.warnings.extend(notice);
        self.sections(&config);
        let modules = wanted(&config, load)?;
        let chains = config.chains.keys().copied().collect();
        for module in &modules {
            match self.module(module, &chains) {
                Ok(finding) => self.modules.push(finding),
                Err(errors) => self.errors.extend(errors),
            }
        }
        Ok(())
    }

    /// Checks the file of a command. Only the runtime can compile it.
    fn command(&mut self, path: &Path) -> Result<(), Refusals> {
        let file = CommandFile::read(&path.into()).map_err(|error| Refusal::with_hint_of(&error))?;
        let errors = file.errors(path);
        if errors.is_empty() {
            self.commands.push(command_files::Finding::of(path, &file));
            self.warnings.push(format!(
                "{}: the types and the limits are not checked: this build lacks the runtime",
                path.display()
            ));
        }
        self.errors.extend(errors.iter().map(Refusal::with_hint_of).collect());
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
                Some((.., Served::By(_))) => self
                    .warnings
                    .push(format!("[{name}] is not checked: this build lacks the capability")),
                Some((.., Served::Unserved(_))) => self.refuse(&no_build_has(section, name)),
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
        let manifest = manifest.unwrap_or_default();
        let mut errors = Refusals::from_iter(self.requests(&path, &manifest).iter().map(Refusal::from));
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

    /// The errors in the names of capabilities in a manifest. Adds the warnings.
    fn requests(&mut self, path: &str, manifest: &Manifest) -> Vec<ConfigError> {
        let find = |name: &str| CONTRACT.iter().find(|known| answers_to(known, name));
        let is_known = |name: &str| AMBIENT.contains(&name) || find(name).is_some();
        let names = CONTRACT.iter().map(|(known, ..)| *known).chain(AMBIENT);
        let requests = manifest.capabilities.as_ref();
        let unknown = requests.map_or_else(UnknownCapabilities::default, |requests| {
            requests.unknown(is_known, names.clone())
        });
        self.warnings.extend(unknown.ignored.iter().map(ToString::to_string));
        let required = requests.into_iter().flat_map(|requests| &requests.required);
        let is_unserved = |name: &&str| matches!(find(name), Some((.., Served::Unserved(_))));
        let unserved: Vec<_> = required.map(|name| name.value.as_str()).filter(is_unserved).collect();
        if !unserved.is_empty() {
            let unserved = unserved.join(", ");
            self.warnings.push(format!(
                "{path}: no version of nexum serves {unserved} yet: the calls return `unsupported`"
            ));
        }
        if manifest.wants_messages {
            let warning = "no version of nexum delivers messages yet: the module gets none";
            self.warnings.push(format!("{path}: {warning}"));
        }
        let mut errors = unknown.refused;
        let settings = requests.into_iter().flat_map(|requests| &requests.settings);
        let is_optional = |name: &str| requests.is_some_and(|requests| requests.is_optional(name));
        for (name, section) in manifest.settings.iter().chain(settings) {
            if !is_known(name) && !is_optional(name) {
                let error = section.location("").error("there is no such capability");
                errors.push(error.with_nearest(name, names.clone()));
            }
        }
        errors
    }

    fn refuse(&mut self, error: &ConfigError) {
        self.errors.extend(Refusal::from(error).into());
    }

    fn print(&self, only_commands: bool) {
        for module in &self.modules {
            outln!("{} ({})", module.name, module.path);
            let mut rows = table(&[]);
            rows.add_row(["  subscriptions", &list(&module.subscriptions)]);
            outln!("{rows}\n");
        }
        self.commands.iter().for_each(command_files::Finding::print);
        for warning in &self.warnings {
            errln!("warning: {warning}");
        }
        self.errors.print();
        let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let checked = if only_commands {
            format!("{} without fault", count(self.commands.len(), "command"))
        } else {
            let modules = count(self.modules.len(), "module");
            format!("{modules} without fault except for the component, which was not checked")
        };
        let errors = count(self.errors.len(), "error");
        outln!("{checked}; {errors}, by nexum {}", version());
    }
}

/// Whether a name in a manifest means this capability: its name, or the name of an interface.
fn answers_to((known, interfaces, _): &(&str, &[&str], Served), name: &str) -> bool {
    *known == name || interfaces.iter().any(|interface| bare_name(interface) == name)
}

fn no_build_has(section: &Section, name: &str) -> ConfigError {
    let message = format!("no build of this version has the capability `{name}`");
    section.location("").error(message)
}
