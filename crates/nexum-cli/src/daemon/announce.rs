//! The first output of `nexum run`.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::sync::Arc;

use nexum_config::engine::Metering;
use nexum_config::limits::Limit;
use nexum_config::masked_path::MaskedPath;
use nexum_config::names::ModuleName;
use nexum_core::Inspection;
use nexum_core::module::Candidate;
use nexum_core::source::EventSource;

use super::refused::forget;
use crate::configure::{ConfigFile, LEVEL_TARGET, LogFormat};
use crate::report::{list, table, time};

/// Writes the first record of the log. `origin` says where the level of the log comes from.
pub(super) fn announce_start(origin: &str, file: &ConfigFile, state_dir: &MaskedPath) {
    let config = file.absolute();
    tracing::info!(
        target: LEVEL_TARGET,
        version = env!("CARGO_PKG_VERSION"),
        config = config.map_or_else(|| "none".to_owned(), |path| path.display().to_string()),
        state_dir = %state_dir.shown_absolute().display(),
        pid = std::process::id(),
        "{origin}"
    );
}

/// Announces the chains and modules that are about to run: as a table for people, as log records
/// for programs.
pub(super) fn announce(sources: &[Arc<dyn EventSource>], log_format: LogFormat, candidates: &[Candidate]) {
    candidates.iter().for_each(Candidate::log_warnings);
    let chains = |candidate: &Candidate| {
        let subscriptions = candidate.subscriptions.iter().map(ToString::to_string);
        let calls = [
            (candidate.kind.answers_queries, "queries"),
            (candidate.kind.has_functions, "functions"),
        ];
        let calls = calls.into_iter().filter(|(has, _)| *has);
        list(subscriptions.chain(calls.map(|(_, calls)| calls.to_owned())))
    };
    if log_format == LogFormat::Json {
        for candidate in candidates {
            tracing::info!(
                module = candidate.meta.name.as_str(),
                digest = %candidate.meta.digest,
                capabilities = list(candidate.grant.names()),
                subscriptions = chains(candidate),
                "module"
            );
        }
        return;
    }
    let mut rows = table(&[
        "MODULE",
        "VERSION",
        "CAPABILITIES",
        "SUBSCRIPTIONS",
        "MEMORY",
        "FUEL/EVENT",
    ]);
    for candidate in candidates {
        let meta = &candidate.meta;
        rows.add_row([
            meta.name.to_string(),
            meta.version.clone().unwrap_or_else(|| "-".to_owned()),
            list(candidate.grant.names()),
            chains(candidate),
            format!("{} MiB", meta.limits[Limit::Memory] >> 20),
            match meta.metering {
                Metering::Fuel => meta.limits[Limit::Fuel].to_string(),
                Metering::Epoch => "-".to_owned(),
            },
        ]);
    }
    let mut text = format!("{rows}\n\n");
    if !sources.is_empty() {
        let mut rows = table(&["CHAIN", "SOURCE"]);
        for source in sources {
            rows.add_row([source.chain_id().to_string(), source.describe()]);
        }
        text.push_str(&format!("{rows}\n\n"));
    }
    // A separate thread, because stdout may be a pipe whose reader has stopped reading. Nothing
    // depends on the tables.
    std::thread::spawn(move || io::stdout().write_all(text.as_bytes()));
}

/// Logs why some modules do not run, and how to change that.
pub(super) fn announce_absent(inspection: &Inspection) {
    for absent in inspection.absent() {
        let config = &absent.entry.config;
        let name = absent.entry.name.as_ref().map(ModuleName::as_str);
        let path = config.path.display();
        match &absent.removed {
            Some(act) => tracing::info!(
                module = name,
                "the module was removed {act} at {}: load it with `nexum module load {path}`",
                time(act.at_ms)
            ),
            None => tracing::info!(module = name, %path, "`enabled = false` in {} disables the module", config.source),
        }
    }
    let runs: BTreeSet<_> = inspection.candidates.iter().map(|one| &one.meta.name).collect();
    for name in inspection
        .loaded_by_operator()
        .keys()
        .filter(|name| !runs.contains(name))
    {
        tracing::error!(
            module = name.as_str(),
            "nexum cannot load a module that the operator loaded earlier: correct its files, or remove it with {} \
             while nexum runs without --strict",
            forget(name)
        );
    }
}
