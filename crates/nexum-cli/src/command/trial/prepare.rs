//! Loads the module of a trial.

use std::path::Path;
use std::sync::Arc;

use nexum_config::engine::{Config, ModuleConfig};
use nexum_config::names::ModuleName;
use nexum_core::BuildError;
use nexum_core::module::Module;
use nexum_core::source::EventSource;
use nexum_core::trial::{Moment, Trial};
use tempfile::TempDir;

use crate::args::{Files, Rules};
use crate::configure::ConfigFile;
use crate::modules::{Plan, Settings};
use crate::report::{Refusal, Refusals, list};

/// The files that are the manifest of a component beside them.
const MANIFESTS: [&str; 2] = ["nexum.toml", "module.toml"];

/// A source of blocks.
pub(super) type Source = Arc<dyn EventSource>;

/// The entry of a module to load.
#[derive(Clone)]
pub(super) struct Entry {
    config: ModuleConfig,
    /// Whether the manifest is that of another component, and so pins its digest.
    has_other_manifest: bool,
}

/// A loaded module, with what a trial of it needs.
pub(super) struct Subject {
    pub(super) module: Module,
    pub(super) config: Config,
    pub(super) file: ConfigFile,
    pub(super) sources: Vec<Source>,
    pub(super) moment: Moment,
    /// The directory of compiled components, which is removed with this value.
    _scratch: TempDir,
}

impl Subject {
    /// The chain of the trial: the `wanted` one, or the only one of the module.
    pub(super) fn chain(&self, wanted: Option<u64>) -> Result<u64, Refusal> {
        let chains = Trial::chains(&self.module);
        match (wanted, chains.as_slice()) {
            (Some(wanted), chains) if chains.contains(&wanted) => Ok(wanted),
            (Some(wanted), chains) => {
                let (name, chains) = (&self.module.meta.name, list(chains));
                let refusal = Refusal::new(format!("the module {name} subscribes to nothing on chain {wanted}"));
                Err(refusal.with_hint(format!("its chains: {chains}")))
            }
            (None, [chain]) => Ok(*chain),
            (None, []) => {
                let refusal = Refusal::new(format!("the module {} subscribes to no chain", self.module.meta.name));
                Err(refusal.with_hint("add a [[subscription]] to its manifest"))
            }
            (None, several) => {
                let (name, chains) = (&self.module.meta.name, list(several));
                let refusal = Refusal::new(format!("the module {name} subscribes to the chains {chains}"));
                Err(refusal.with_hint("choose one with --chain"))
            }
        }
    }
}

/// The settings of the configuration, without modules of the command line.
fn settings(rules: &Rules) -> Result<Settings, Refusals> {
    Settings::read(Files {
        config: rules.config.clone(),
        ..Files::default()
    })
}

/// The entry of a component that no configuration names. [`with_component`] gives it its path.
pub(super) fn entry_alone() -> Entry {
    Entry::of(ModuleConfig::new(""))
}

impl Entry {
    fn of(config: ModuleConfig) -> Self {
        Self {
            config,
            has_other_manifest: false,
        }
    }
}

/// The entry of a module in the configuration.
///
/// # Errors
///
/// If the configuration is faulty, or has no module of this name.
pub(super) async fn entry_of(rules: &Rules, name: &ModuleName) -> Result<Entry, Refusals> {
    let Plan {
        host,
        modules,
        errors,
        no_modules,
        ..
    } = settings(rules)?.plan();
    if !errors.is_empty() {
        return Err(errors);
    }
    if let Some(refusal) = no_modules {
        return Err(refusal.into());
    }
    if let Some(entry) = modules.iter().find(|entry| entry.name.as_ref() == Some(name)) {
        return Ok(Entry::of(entry.clone()));
    }
    // The manifest or the file gives the name of other entries.
    let inspection = host.with_disabled().inspect().await;
    let mut known = Vec::new();
    for candidate in inspection.candidates {
        if candidate.meta.name == *name {
            return Ok(Entry::of(candidate.origin));
        }
        known.push(candidate.meta.name.to_string());
    }
    let mut refusals = Refusals::from(&inspection.errors);
    let refusal = Refusal::new(format!("the configuration has no module {name}"));
    refusals.extend(refusal.with_hint(format!("its modules: {}", list(known))).into());
    Err(refusals)
}

/// The entry with another component. Its manifest is the one of the command line, or the one beside it, or that of the
/// entry, which may pin the digest of the other component.
pub(super) fn with_component(entry: Entry, component: &Path, rules: &Rules) -> Entry {
    let entry = entry.config;
    let beside = |name: &str| {
        component
            .parent()
            .is_some_and(|directory| directory.join(name).is_file())
    };
    let own = entry
        .path
        .parent()
        .map(|directory| MANIFESTS.map(|name| directory.join(name)));
    let own = own.into_iter().flatten().find(|manifest| manifest.is_file());
    let (manifest, has_other_manifest) = match &rules.manifest {
        Some(manifest) => (Some(manifest.clone().into()), false),
        None if MANIFESTS.iter().any(|name| beside(name)) => (None, false),
        None => (entry.manifest.clone().or_else(|| own.map(Into::into)), true),
    };
    let config = ModuleConfig {
        path: component.to_owned().into(),
        manifest,
        digest: None,
        enabled: true,
        ..entry
    };
    Entry {
        config,
        has_other_manifest,
    }
}

/// Loads the module of an entry. It calls no function of the module except `list-functions`.
///
/// # Errors
///
/// Everything that is wrong with the configuration and the module.
pub(super) async fn load(rules: &Rules, entry: Entry) -> Result<Subject, Refusals> {
    let moment = Moment::default();
    let Entry {
        config: entry,
        has_other_manifest,
    } = entry;
    let entry = ModuleConfig { enabled: true, ..entry };
    let Plan {
        file,
        config,
        host,
        errors,
        ..
    } = settings(rules)?.plan_alone(entry, moment.seams());
    if !errors.is_empty() {
        return Err(errors);
    }
    // A trial leaves no files.
    let scratch = tempfile::tempdir().map_err(|error| Refusal::of(&error))?;
    let host = host.cache_dir(scratch.path());
    let host = match has_other_manifest {
        true => host.ignore_digests(),
        false => host,
    };
    let sources = host.sources().cloned().collect();
    let loaded = host.event_modules().await.map_err(|error| match error {
        BuildError::Modules(errors) => Refusals::from(&errors),
        error => Refusal::with_hint_of(&error).into(),
    })?;
    let module = loaded.into_iter().next();
    let module = module.ok_or_else(|| Refusal::new("the configuration does not admit the module"))?;
    Ok(Subject {
        module,
        config,
        file,
        sources,
        moment,
        _scratch: scratch,
    })
}
