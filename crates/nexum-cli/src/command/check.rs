//! `nexum check`: finds the errors for which `run` would refuse modules, without network and without
//! guest code, but for `list-functions` in a sandbox.

mod commands;

use std::ops::ControlFlow;

use nexum_config::component::shown_world;
use nexum_config::engine::Config;
use nexum_core::HostBuilder;
use nexum_core::module::Candidate;
use serde::Serialize;

use super::{command_files, doctor};
use crate::args::{Check, Files, Format};
use crate::compose::{self, Fact};
use crate::exit_code::{REFUSED, STOPPED};
use crate::modules::{Plan, Settings};
use crate::process::{self, Termination};
use crate::report::print::{errln, fact, json_on_stdout, outln};
use crate::report::{Refusal, Refusals, count, findings, list};

/// The result of a check, and the features of the build that made it.
#[derive(Default, Serialize)]
struct Findings {
    features: Vec<&'static str>,
    modules: Vec<Finding>,
    commands: Vec<command_files::Finding>,
    facts: Vec<Fact>,
    /// Remarks on the command line and the configuration.
    warnings: Vec<String>,
    errors: Refusals,
    /// The findings about endpoints and the clock. None without `--online`.
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<Vec<findings::Finding>>,
}

/// A module that can run.
#[derive(Serialize)]
struct Finding {
    name: String,
    path: String,
    digest: String,
    world: Option<String>,
    imports: Vec<String>,
    exports: Vec<String>,
    capabilities: Vec<&'static str>,
    stubs: Vec<String>,
    subscriptions: Vec<String>,
    /// The directory of read-only files.
    files: Option<String>,
    warnings: Vec<String>,
}

/// Checks the configuration and the modules, and prints the result.
///
/// # Errors
///
/// Errors that prevent a check of the modules.
pub(crate) fn check(args: &Check) -> Result<u8, Refusals> {
    let mut files = args.load.files()?;
    let commands = command_files::take(&mut files);
    let only_commands = files.components.is_empty() && !commands.is_empty();
    let notices = files.notices.clone();
    let looked = if only_commands {
        Ok(ControlFlow::Continue(Findings {
            warnings: command_files::unread(&files)
                .into_iter()
                .chain(notices.clone())
                .collect(),
            ..Findings::default()
        }))
    } else {
        look(files, args.online)
    };
    let mut findings = match looked {
        Ok(ControlFlow::Continue(findings)) => findings,
        Ok(ControlFlow::Break(code)) => return Ok(code),
        Err(errors) => Findings {
            errors,
            warnings: notices,
            ..Findings::default()
        },
    };
    match commands::check(&commands)? {
        ControlFlow::Continue(checked) => {
            findings.commands = checked.commands;
            findings.errors.extend(checked.errors);
        }
        ControlFlow::Break(code) => return Ok(code),
    }
    findings.features = compose::features();
    match args.format {
        Format::Json => json_on_stdout(&findings)?,
        Format::Text => print(&findings, only_commands),
    }
    Ok(match (findings.errors.is_empty(), &findings.online) {
        (false, _) => REFUSED,
        (true, Some(online)) => findings::exit_code(online),
        (true, None) => STOPPED,
    })
}

/// Returns the exit code if a signal ends the check.
fn look(files: Files, is_online: bool) -> Result<ControlFlow<u8, Findings>, Refusals> {
    let is_whole = files.components.is_empty();
    let Plan {
        config,
        host,
        warnings,
        mut errors,
        no_modules,
        facts,
        ..
    } = Settings::read(files)?.plan();
    // With modules of the command line, a check is not one of the whole configuration.
    let named = is_whole.then_some(&config);
    errors.extend(no_modules.into_iter().collect());
    // A check leaves no files: compiled components go into a directory that is removed.
    let scratch = tempfile::tempdir().map_err(|error| Refusal::of(&error))?;
    let host = host.cache_dir(scratch.path()).with_disabled();
    process::block_on(async {
        let mut termination = Termination::new().map_err(|error| Refusal::of(&error))?;
        let check = async {
            let findings = load(host, named, errors, warnings).await;
            let online = match is_online {
                true => Some(doctor::online(&config).await),
                false => None,
            };
            Findings {
                facts,
                online,
                ..findings
            }
        };
        tokio::select! {
            findings = check => Ok(ControlFlow::Continue(findings)),
            // The compilations end, and the directory is removed.
            code = termination.received() => Ok(ControlFlow::Break(code)),
        }
    })?
}

/// Checks the modules. `config` has tables for all of them and for no other, if it is present.
/// `errors` are those of the configuration, with which no module can run. Adds the warnings about
/// modules that cannot run to `warnings`.
async fn load(host: HostBuilder, config: Option<&Config>, mut errors: Refusals, mut warnings: Vec<String>) -> Findings {
    let no_module_can_run = !errors.is_empty();
    let mut inspection = host.inspect().await;
    inspection.warn_of_missing_reads();
    errors.extend(Refusals::from(&inspection.errors));
    warnings.append(&mut inspection.warnings);
    let modules: Vec<_> = inspection.candidates.iter().map(Finding::of).collect();
    // The name of a module that cannot be read is not known.
    if let Some(config) = config.filter(|_| inspection.errors.is_empty()) {
        let names: Vec<_> = modules.iter().map(|module| module.name.clone()).collect();
        warnings.extend(compose::tables_of_other_modules(config, &names));
    }
    let mut names = Vec::new();
    match inspection.set_up() {
        Ok((mut host, candidates)) => {
            errors.extend(Refusals::from(&host.load(candidates).await));
            names.extend(host.names().iter().map(ToString::to_string));
        }
        Err(error) => errors.extend(Refusal::with_hint_of(&error).into()),
    }
    let can_run = |finding: &Finding| !no_module_can_run && names.contains(&finding.name);
    let (modules, others): (Vec<_>, Vec<_>) = modules.into_iter().partition(can_run);
    for Finding {
        name, warnings: of_one, ..
    } in others
    {
        warnings.extend(of_one.into_iter().map(|warning| format!("{name}: {warning}")));
    }
    Findings {
        modules,
        warnings,
        errors,
        ..Findings::default()
    }
}

impl Finding {
    fn of(candidate: &Candidate) -> Self {
        Self {
            name: candidate.meta.name.to_string(),
            path: candidate.origin.path.display().to_string(),
            digest: candidate.meta.digest.to_string(),
            world: candidate.summary.world(),
            imports: candidate.summary.imports.clone(),
            exports: candidate.summary.exports.clone(),
            capabilities: candidate.grant.names().collect(),
            stubs: candidate.grant.stubs().map(str::to_owned).collect(),
            subscriptions: candidate.subscriptions.iter().map(ToString::to_string).collect(),
            files: candidate
                .meta
                .files
                .as_ref()
                .map(|files| files.path().display().to_string()),
            warnings: candidate.warnings.clone(),
        }
    }
}

fn print(findings: &Findings, only_commands: bool) {
    for warning in &findings.warnings {
        errln!("warning: {warning}");
    }
    for module in &findings.modules {
        outln!("{} ({})", module.name, module.path);
        fact("  digest", &module.digest);
        let world = module.world.as_deref().map(shown_world);
        fact("  world", world.as_deref().unwrap_or("-"));
        fact("  exports", &list(&module.exports));
        fact("  imports", &list(&module.imports));
        fact("  capabilities", &list(&module.capabilities));
        if !module.stubs.is_empty() {
            fact("  unsupported", &list(&module.stubs));
        }
        fact("  subscriptions", &list(&module.subscriptions));
        if let Some(files) = &module.files {
            fact("  files", files);
        }
        outln!("");
        for warning in &module.warnings {
            errln!("warning: {}: {warning}", module.name);
        }
    }
    let granted: Vec<_> = findings
        .modules
        .iter()
        .flat_map(|module| &module.capabilities)
        .collect();
    let is_checked = |name: &String| findings.modules.iter().any(|module| module.name == *name);
    let concerns = |fact: &&Fact| match &fact.module {
        Some(module) => is_checked(module),
        None => granted.contains(&&fact.capability),
    };
    for fact in findings.facts.iter().filter(concerns) {
        outln!("{}", fact.text);
    }
    findings.commands.iter().for_each(command_files::Finding::print);
    findings.errors.print();
    if let Some(online) = &findings.online {
        findings::print(online);
    }
    let modules = count(findings.modules.len(), "module");
    let commands = count(findings.commands.len(), "command");
    let can_run = match findings.commands.len() {
        _ if only_commands => commands,
        0 => modules,
        _ => format!("{modules} and {commands}"),
    };
    outln!(
        "{can_run} can run, {}, by nexum {}",
        count(findings.errors.len(), "error"),
        compose::version()
    );
}
