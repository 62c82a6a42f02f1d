//! The files of the modules: what would refuse them, and whether the daemon runs another version.

use std::path::Path;

use nexum_config::component::ComponentFile;
use nexum_config::masked_path::MaskedPath;
use nexum_core::module::Candidate;
use nexum_core::{LoadError, LoadErrors, ModuleError};

use super::daemon::Daemon;
use crate::client::Client;
use crate::report::Refusal;
use crate::report::findings::{Area, Finding};

/// Findings about the files that the configuration names. A component whose digest differs from
/// `digest` of `[[modules]]` is among the errors.
pub(super) fn of_files(candidates: &[Candidate], errors: &LoadErrors, warnings: &[String]) -> Vec<Finding> {
    let area = Area::Modules;
    let mut findings: Vec<_> = errors.iter().flat_map(refused).collect();
    findings.extend(warnings.iter().map(|warning| area.warning("refused", warning)));
    for candidate in candidates {
        let name = &candidate.meta.name;
        findings.extend(candidate.warnings.iter().map(|warning| area.warning(name, warning)));
        let outcome = match candidate.origin.digest {
            Some(_) => "has the digest that engine.toml pins",
            None => "passes every check before its compilation",
        };
        findings.push(area.ok(name, format!("{} {outcome}", candidate.origin.path.display())));
    }
    findings
}

/// The reasons to refuse one module.
fn refused(module: &ModuleError) -> Vec<Finding> {
    let subject = module.entry.path.display();
    let finding = |(text, hint): (String, Option<String>)| {
        let text = text.strip_prefix(&format!("{subject}: ")).unwrap_or(&text).to_owned();
        let remedy = match &module.error {
            LoadError::Digest { actual, .. } => {
                let from = "restore the file, or if you trust it, set";
                Some(format!(
                    "{from} digest = \"{actual}\" in its [[modules]] or in its manifest"
                ))
            }
            _ => hint,
        };
        Finding {
            remedy,
            ..Area::Modules.failure(&subject, text)
        }
    };
    module.lines().into_iter().map(finding).collect()
}

/// Compares the components that the daemon runs with their files.
pub(super) fn of_daemon(state_dir: &MaskedPath, daemon: &Daemon) -> Vec<Finding> {
    let area = Area::Modules;
    if daemon.pid().is_none() {
        return Vec::new();
    }
    let modules = match Client::of(state_dir).modules() {
        Ok(modules) => modules,
        Err(refusals) => {
            let unknown = |refusal: &Refusal| {
                let remedy = refusal.hint.as_deref().unwrap_or("`nexum status` asks the daemon too");
                area.unknown("loaded modules", &refusal.error, remedy)
            };
            return refusals.iter().map(unknown).collect();
        }
    };
    let loaded = modules.iter().filter(|module| !module.digest.is_empty());
    loaded
        .map(|module| {
            let (name, path) = (&module.name, module.path.display());
            // A path with a variable is unknown here.
            let Ok(file) = ComponentFile::read(&MaskedPath::from(Path::new(&module.path))) else {
                let text = format!("runs, and its file {path} cannot be read here to compare the digest");
                return area.unknown(name, text, "run this command as the user that runs nexum");
            };
            let digest = file.digest.to_string();
            match digest == module.digest {
                true => area.ok(name, format!("runs the component in {path}, {digest}")),
                false => {
                    let text = format!("runs {}, and {path} is now {digest}", module.digest);
                    area.warning(name, text)
                        .with_remedy(format!("nexum module reload {name}"))
                }
            }
        })
        .collect()
}
