//! `nexum check` without the runtime: checks engine.toml and every manifest, as far as possible
//! without a component.

use std::collections::BTreeSet;
use std::path::Path;

use nexum_config::command::CommandFile;
use nexum_config::component::ComponentFile;
use nexum_config::document::{ConfigError, ConfigErrors, Section};
use nexum_config::engine::{Config, ModuleConfig};
use nexum_config::files;
use nexum_config::interface::capability_named;
use nexum_config::manifest::{Manifest, UnknownCapabilities};
use nexum_config::masked_path::MaskedPath;
use nexum_config::names::ModuleName;
use serde::Serialize;

use super::version;
use crate::args::{Check, Files, Format};
use crate::command::command_files;
use crate::configure::{Configuration, configure_all, wanted};
use crate::contract::{
    ACCOUNTS_SECTION, ADMIN_SECTION, AMBIENT, CLUSTER_SECTION, EFFECTS_SECTION, IDENTITY, LEDGER_SECTION,
    METRICS_SECTION, NOTIFY_SECTION, QUERY_SECTION, STORE_SECTION, Served, TX_SECTION, contract,
};
use crate::exit_code::{REFUSED, STOPPED};
use crate::report::print::{errln, fact, json_on_stdout, outln};
use crate::report::{Refusal, Refusals, count, list};

/// The result of a check, and the features of the build that made it.
#[derive(Default, Serialize)]
struct Findings {
    features: [&'static str; 0],
    modules: Vec<Finding>,
    commands: Vec<command_files::Finding>,
    warnings: Vec<String>,
    errors: Refusals,
}

/// The facts about a configuration for the check of its modules.
struct Known {
    chains: BTreeSet<u64>,
    /// The files and directories that no module may read.
    private: [MaskedPath; 2],
    /// The names of the modules so far.
    names: BTreeSet<ModuleName>,
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
    let mut files = args.load.files()?;
    let commands = command_files::take(&mut files);
    let only_commands = files.components.is_empty() && !commands.is_empty();
    if only_commands {
        findings.warnings.extend(command_files::unread(&files));
        findings.warnings.append(&mut files.notices);
    } else if let Err(errors) = findings.look(&files) {
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
    fn look(&mut self, files: &Files) -> Result<(), Refusals> {
        let mut errors = Vec::new();
        let Configuration {
            file, config, notices, ..
        } = configure_all(files.config.as_deref(), &mut errors)?;
        self.warnings.extend([files.notices.clone(), notices].concat());
        self.sections(&config, &mut errors);
        let modules = wanted(&config, files, &errors);
        let no_module_can_run = !errors.is_empty();
        self.errors.extend(
            ConfigErrors::check(errors)
                .err()
                .map(Refusals::from)
                .unwrap_or_default(),
        );
        let modules = modules.unwrap_or_else(|refusal| {
            self.errors.extend(refusal.into());
            Vec::new()
        });
        let mut known = Known {
            chains: config.chains.keys().copied().collect(),
            private: [config.state_dir.clone(), file.path().into()],
            names: BTreeSet::new(),
        };
        for module in &modules {
            let finding = self.module(module, &mut known);
            self.modules.extend(finding.filter(|_| !no_module_can_run));
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
    fn sections(&mut self, config: &Config, errors: &mut Vec<ConfigError>) {
        if !config.chains.is_empty() {
            self.warnings
                .push("[chains] is not checked: this build lacks the capability `chain`".to_owned());
        }
        for (name, section) in config.sections.iter().filter(|(name, _)| *name != METRICS_SECTION) {
            if [
                ADMIN_SECTION,
                CLUSTER_SECTION,
                EFFECTS_SECTION,
                LEDGER_SECTION,
                NOTIFY_SECTION,
                QUERY_SECTION,
                STORE_SECTION,
                TX_SECTION,
            ]
            .contains(&name.as_str())
            {
                self.warnings
                    .push(format!("[{name}] is not checked: this build lacks the runtime"));
                continue;
            }
            let capability = match name.as_str() {
                ACCOUNTS_SECTION => IDENTITY,
                name => name,
            };
            match contract().find(|(known, ..)| *known == capability) {
                Some((.., Served::By(_))) => self
                    .warnings
                    .push(format!("[{name}] is not checked: this build lacks the capability")),
                Some((.., Served::Unserved(_))) => errors.push(no_build_has(section, name)),
                None => {
                    let error = section.location("").error("unknown section");
                    let known = contract().map(|(known, ..)| known).chain([
                        "engine",
                        "chains",
                        METRICS_SECTION,
                        "modules",
                        ADMIN_SECTION,
                        CLUSTER_SECTION,
                        EFFECTS_SECTION,
                        LEDGER_SECTION,
                        NOTIFY_SECTION,
                        QUERY_SECTION,
                        TX_SECTION,
                    ]);
                    errors.push(error.with_nearest(name, known));
                }
            }
        }
    }

    /// Checks the manifest of a module. None if there is an error.
    fn module(&mut self, module: &ModuleConfig, known: &mut Known) -> Option<Finding> {
        let path = module.path.display().to_string();
        let before = self.errors.len();
        let mut errors = Vec::new();
        let component = ComponentFile::read(&module.path);
        let kind = component.map(|file| file.summary.kind()).unwrap_or_default();
        let manifest = Manifest::of_module_all(module, kind, &mut errors);
        let is_unread = manifest.is_err();
        let manifest = manifest.unwrap_or_else(|found| {
            errors.extend(found);
            None
        });
        if manifest.is_none() && !is_unread {
            let warning = module.unread_manifest().unwrap_or_else(|| {
                let file = kind.manifest_file();
                format!("there is no {file} beside the component, so the module has no subscriptions")
            });
            self.warnings.push(format!("{path}: {warning}"));
        }
        let mut manifest = manifest.unwrap_or_default();
        self.warnings.append(&mut manifest.notices);
        errors.extend(self.requests(&path, &manifest));
        // A faulty list may name the chain as optional.
        let needs_chains = !errors.iter().any(|error| error.is_about("chains"));
        let has_name = !is_unread && !errors.iter().any(|error| error.is_about("module.name"));
        self.errors.extend(
            ConfigErrors::check(errors)
                .err()
                .map(Refusals::from)
                .unwrap_or_default(),
        );
        if let Some(name) = &manifest.files
            && let Err(error) = files::Files::open(module.files_beside(), name, &known.private)
        {
            self.errors.extend(Refusal::with_hint_of(&error).into());
        }
        for chain_id in manifest.missing_chains(&known.chains).iter().filter(|_| needs_chains) {
            let refusal = Refusal::new(format!("the module needs chain {chain_id}, which is not configured"));
            let hint = format!("add [chains.{chain_id}] with an `rpc_url` to engine.toml");
            self.errors.extend(refusal.with_hint(hint).about(&path).into());
        }
        let name = match module.name.clone().or(manifest.name) {
            Some(name) => name,
            None if !has_name => return None,
            None => match ModuleName::of_file(module.path.shown()) {
                Ok(name) => name,
                Err(error) => {
                    let refusal = Refusal::of(&error);
                    let refusal = refusal.with_hint("give the module a `name` in engine.toml or in its manifest");
                    self.errors.extend(refusal.about(&path).into());
                    return None;
                }
            },
        };
        // The name of a faulty entry may be another one.
        if !module.is_faulty && !known.names.insert(name.clone()) {
            let refusal = Refusal::new(format!("two modules are called `{name}`"));
            let refusal = refusal.with_hint("give one of them another `name` in engine.toml");
            self.errors.extend(refusal.about(&path).into());
        }
        (self.errors.len() == before).then(|| Finding {
            name: name.to_string(),
            path,
            subscriptions: manifest.subscriptions.iter().map(ToString::to_string).collect(),
        })
    }

    /// The errors in the names of capabilities in a manifest. Adds the warnings.
    fn requests(&mut self, path: &str, manifest: &Manifest) -> Vec<ConfigError> {
        let find = |name: &str| {
            let meant = capability_named(name)?;
            contract().find(|(known, ..)| *known == meant)
        };
        let is_known = |name: &str| AMBIENT.contains(&name) || find(name).is_some();
        let names = contract().map(|(known, ..)| known).chain(AMBIENT);
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

    fn print(&self, only_commands: bool) {
        for module in &self.modules {
            outln!("{} ({})", module.name, module.path);
            fact("  subscriptions", &list(&module.subscriptions));
            outln!("");
        }
        self.commands.iter().for_each(command_files::Finding::print);
        for warning in &self.warnings {
            errln!("warning: {warning}");
        }
        self.errors.print();
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

fn no_build_has(section: &Section, name: &str) -> ConfigError {
    let message = format!("no build of this version has the capability `{name}`");
    section.location("").error(message)
}
