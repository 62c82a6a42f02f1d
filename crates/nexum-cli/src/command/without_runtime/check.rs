//! `nexum check` without the runtime: checks engine.toml and every manifest, as far as possible
//! without a component.

use std::collections::BTreeSet;

use nexum_config::document::{ConfigError, ConfigErrors, Section};
use nexum_config::engine::{Config, ModuleConfig};
use nexum_config::manifest::{MANIFEST_FILE, Manifest};
use nexum_config::names::ModuleName;
use serde::Serialize;

use super::version;
use crate::args::{Check, Format};
use crate::configure::{Configuration, configure_all, wanted};
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
        let files = args.load.files()?;
        let mut errors = Vec::new();
        let Configuration { config, notices, .. } = configure_all(files.config.as_deref(), &mut errors)?;
        self.warnings.extend([files.notices.clone(), notices].concat());
        self.sections(&config, &mut errors);
        let modules = wanted(&config, &files, &errors);
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
        let chains = config.chains.keys().copied().collect();
        let mut names = BTreeSet::new();
        for module in &modules {
            let finding = self.module(module, &chains, &mut names);
            self.modules.extend(finding.filter(|_| !no_module_can_run));
        }
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
            if [QUERY_SECTION, STORE_SECTION].contains(&name.as_str()) {
                self.warnings
                    .push(format!("[{name}] is not checked: this build lacks the runtime"));
                continue;
            }
            match CONTRACT.iter().find(|(known, ..)| known == name) {
                Some((.., Some(_))) => self
                    .warnings
                    .push(format!("[{name}] is not checked: this build lacks the capability")),
                Some((.., None)) => errors.push(no_build_has(section, name)),
                None => {
                    let error = section.location("").error("unknown section");
                    let known = CONTRACT.iter().map(|(known, ..)| *known).chain([
                        "engine",
                        "chains",
                        METRICS_SECTION,
                        "modules",
                        QUERY_SECTION,
                    ]);
                    errors.push(error.with_nearest(name, known));
                }
            }
        }
    }

    /// Checks the manifest of a module. `names` are those of the modules before it. None if there
    /// is an error.
    fn module(
        &mut self,
        module: &ModuleConfig,
        chains: &BTreeSet<u64>,
        names: &mut BTreeSet<ModuleName>,
    ) -> Option<Finding> {
        let path = module.path.display().to_string();
        let before = self.errors.len();
        let mut errors = Vec::new();
        let manifest = Manifest::of_module_all(module, &mut errors);
        let is_unread = manifest.is_err();
        let manifest = manifest.unwrap_or_else(|found| {
            errors.extend(found);
            None
        });
        if manifest.is_none() && !is_unread {
            let warning = module.unread_manifest().unwrap_or_else(|| {
                format!("there is no {MANIFEST_FILE} beside the component, so the module has no subscriptions")
            });
            self.warnings.push(format!("{path}: {warning}"));
        }
        let manifest = manifest.unwrap_or_default();
        errors.extend(requests(&manifest));
        // A faulty list may name the chain as optional.
        let needs_chains = !errors.iter().any(|error| error.is_about("chains"));
        let has_name = !is_unread && !errors.iter().any(|error| error.is_about("module.name"));
        self.errors.extend(
            ConfigErrors::check(errors)
                .err()
                .map(Refusals::from)
                .unwrap_or_default(),
        );
        for chain_id in manifest.missing_chains(chains).iter().filter(|_| needs_chains) {
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
        if !module.is_faulty && !names.insert(name.clone()) {
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
