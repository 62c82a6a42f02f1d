//! `nexum check`: finds the errors for which `run` would refuse modules, without network and
//! without guest code.

use std::ops::ControlFlow;

use nexum_core::HostBuilder;
use nexum_core::module::Candidate;
use serde::Serialize;

use crate::args::{Check, Format};
use crate::compose;
use crate::exit_code::{REFUSED, STOPPED};
use crate::modules::{Plan, Settings};
use crate::process::{self, Termination};
use crate::report::print::{errln, json_on_stdout, outln};
use crate::report::{Refusal, Refusals, list, table};

/// The result of a check, and the features of the build that made it.
#[derive(Serialize)]
struct Findings {
    features: Vec<&'static str>,
    modules: Vec<Finding>,
    errors: Refusals,
}

/// A module that can run.
#[derive(Serialize)]
struct Finding {
    name: String,
    path: String,
    digest: String,
    world: Option<&'static str>,
    imports: Vec<String>,
    exports: Vec<String>,
    capabilities: Vec<&'static str>,
    stubs: Vec<String>,
    subscriptions: Vec<String>,
    warnings: Vec<String>,
}

/// Checks the configuration and the modules, and prints the result.
///
/// # Errors
///
/// Errors that prevent a check of the modules.
pub(crate) fn check(args: &Check) -> Result<u8, Refusals> {
    let findings = match look(args) {
        Ok(ControlFlow::Continue(findings)) => findings,
        Ok(ControlFlow::Break(code)) => return Ok(code),
        Err(errors) => Findings {
            features: compose::features(),
            modules: Vec::new(),
            errors,
        },
    };
    match args.format {
        Format::Json => json_on_stdout(&findings)?,
        Format::Text => print(&findings),
    }
    Ok(if findings.errors.is_empty() { STOPPED } else { REFUSED })
}

/// Returns the exit code if a signal ends the check.
fn look(args: &Check) -> Result<ControlFlow<u8, Findings>, Refusals> {
    let Plan {
        host, warnings, errors, ..
    } = Settings::read(&args.load)?.plan();
    for warning in warnings {
        errln!("warning: {warning}");
    }
    // A check leaves no files: compiled components go into a directory that is removed.
    let scratch = tempfile::tempdir().map_err(|error| Refusal::of(&error))?;
    let host = host.cache_dir(scratch.path());
    process::block_on(async {
        let mut termination = Termination::new().map_err(|error| Refusal::of(&error))?;
        tokio::select! {
            findings = load(host, errors) => Ok(ControlFlow::Continue(findings)),
            // The compilations end, and the directory is removed.
            code = termination.received() => Ok(ControlFlow::Break(code)),
        }
    })?
}

/// Checks the modules. `errors` are those of the configuration, with which no module can run.
async fn load(host: HostBuilder, mut errors: Refusals) -> Findings {
    let no_module_can_run = !errors.is_empty();
    let inspection = host.inspect().await;
    errors.extend(Refusals::from(&inspection.errors));
    let mut modules: Vec<_> = inspection.candidates.iter().map(Finding::of).collect();
    match inspection.set_up() {
        Ok((mut host, candidates)) => {
            errors.extend(Refusals::from(&host.load(candidates).await));
            modules.retain(|finding| host.names().iter().any(|name| name.as_str() == finding.name));
        }
        Err(error) => {
            errors.extend(Refusal::with_hint_of(&error).into());
            modules.clear();
        }
    }
    if no_module_can_run {
        modules.clear();
    }
    Findings {
        features: compose::features(),
        modules,
        errors,
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
            stubs: candidate.grant.stubs().to_vec(),
            subscriptions: candidate.subscriptions.iter().map(ToString::to_string).collect(),
            warnings: candidate.warnings.clone(),
        }
    }
}

fn print(findings: &Findings) {
    for module in &findings.modules {
        outln!("{} ({})", module.name, module.path);
        let mut rows = table(&[]);
        rows.add_row(["  digest", &module.digest]);
        rows.add_row(["  world", module.world.unwrap_or("-")]);
        rows.add_row(["  exports", &list(&module.exports)]);
        rows.add_row(["  imports", &list(&module.imports)]);
        rows.add_row(["  capabilities", &list(&module.capabilities)]);
        if !module.stubs.is_empty() {
            rows.add_row(["  unsupported", &list(&module.stubs)]);
        }
        rows.add_row(["  subscriptions", &list(&module.subscriptions)]);
        outln!("{rows}\n");
        for warning in &module.warnings {
            errln!("warning: {}: {warning}", module.name);
        }
    }
    findings.errors.print();
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    outln!(
        "{} can run, {}, by nexum {}",
        count(findings.modules.len(), "module"),
        count(findings.errors.len(), "error"),
        compose::version()
    );
}
