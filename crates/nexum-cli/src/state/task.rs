//! Tasks on a store, for the process that has it open: this process, or the running daemon.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use nexum_config::names::ModuleName;
use nexum_core::state::{admin, operator_rows};
use nexum_core::store::StateStore;
use nexum_store::{ExportError, Imported, TransferError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::show;
use super::sinks::{Sinks, no_module, write};
use crate::args::{Form, Format};
use crate::exit_code::{FAILED, STOPPED};
use crate::protocol::frames::Said;
use crate::report::{Refusal, count};

/// The subject of an export that belongs to no module.
const ACCOUNTS: &str = "accounts";

/// A task on a store. An import is not a task, because it needs a file as input.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Task {
    List {
        format: Format,
    },
    Get {
        module: String,
        key: String,
        form: Form,
    },
    Scan {
        module: String,
        prefix: String,
        limit: usize,
    },
    Export {
        module: String,
    },
    ExportAccounts,
    /// Reports the size of a module's state, for the confirmation of a purge.
    Weigh {
        module: String,
    },
    Purge {
        module: String,
    },
    Compact,
    /// `file` is an absolute path.
    Backup {
        #[schema(value_type = String)]
        file: PathBuf,
    },
    Verify,
}

impl Task {
    /// Performs the task. Returns the exit code.
    ///
    /// # Errors
    ///
    /// The reason of a failure.
    pub(crate) fn perform(&self, store: &dyn StateStore, sinks: &mut Sinks<'_>) -> Result<u8, Refusal> {
        match self {
            Self::List { format } => show::list(store, *format, sinks),
            Self::Get { module, key, form } => show::get(store, &name(module)?, key, form, sinks),
            Self::Scan { module, prefix, limit } => show::scan(store, &name(module)?, prefix, *limit, sinks),
            Self::Export { module } => export(store, &name(module)?, sinks),
            Self::ExportAccounts => export_accounts(store, sinks),
            Self::Weigh { module } => weigh(store, &name(module)?, sinks),
            Self::Purge { module } => purge(store, &name(module)?, sinks),
            Self::Compact => compact(store),
            Self::Backup { file } => backup(store, file, sinks),
            Self::Verify => verify(store, sinks),
        }
    }

    /// The task in a word, for audit records.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::List { .. } => "state_list",
            Self::Get { .. } => "state_get",
            Self::Scan { .. } => "state_scan",
            Self::Export { .. } => "state_export",
            Self::ExportAccounts => "state_export_accounts",
            Self::Weigh { .. } => "state_weigh",
            Self::Purge { .. } => "state_purge",
            Self::Compact => "state_compact",
            Self::Backup { .. } => "state_backup",
            Self::Verify => "state_verify",
        }
    }

    /// Whether the task changes the state or writes a file.
    pub(crate) fn changes_files(&self) -> bool {
        matches!(self, Self::Purge { .. } | Self::Compact | Self::Backup { .. })
    }

    /// The module whose state the task deletes, or weighs before a purge.
    pub(crate) fn purges(&self) -> Option<&str> {
        match self {
            Self::Weigh { module } | Self::Purge { module } => Some(module),
            _ => None,
        }
    }
}

fn name(module: &str) -> Result<ModuleName, Refusal> {
    module
        .parse()
        .map_err(|error: nexum_config::names::ModuleNameError| Refusal::of(&error))
}

/// Imports the output of an export.
///
/// # Errors
///
/// The reason of a failure. The store is unchanged.
pub(crate) fn import(
    store: &dyn StateStore,
    input: &mut dyn BufRead,
    sinks: &mut Sinks<'_>,
) -> Result<u8, TransferError> {
    let mut progress = rows("importing", sinks.say);
    let (imported, rows) = nexum_store::import(store, input, &mut progress)?;
    drop(progress);
    let what = match imported {
        Imported::Module(module) => module.to_string(),
        Imported::Accounts => ACCOUNTS.to_owned(),
    };
    sinks.line(format!("{what}: {} imported", count(rows, "row")));
    Ok(STOPPED)
}

fn export(store: &dyn StateStore, module: &ModuleName, sinks: &mut Sinks<'_>) -> Result<u8, Refusal> {
    let view = store.frozen().map_err(|error| Refusal::of(&error))?;
    let mut progress = rows("exporting", sinks.say);
    let exported = nexum_store::export(&*view, module, sinks.out, &mut progress);
    let rows = exported.map_err(|error| match error {
        ExportError::NoModule(module) => no_module(&module),
        error => Refusal::of(&error),
    })?;
    drop(progress);
    sinks.line(format!("{module}: {} exported", count(rows, "row")));
    Ok(STOPPED)
}

fn export_accounts(store: &dyn StateStore, sinks: &mut Sinks<'_>) -> Result<u8, Refusal> {
    let view = store.frozen().map_err(|error| Refusal::of(&error))?;
    let mut progress = rows("exporting", sinks.say);
    let exported = nexum_store::export_accounts(&*view, sinks.out, &mut progress);
    let rows = exported.map_err(|error| Refusal::of(&error))?;
    drop(progress);
    sinks.line(format!("{ACCOUNTS}: {} exported", count(rows, "row")));
    Ok(STOPPED)
}

fn weigh(store: &dyn StateStore, module: &ModuleName, sinks: &mut Sinks<'_>) -> Result<u8, Refusal> {
    let view = store.view().map_err(|error| Refusal::of(&error))?;
    let summary = admin::summary(&*view, module).map_err(|error| Refusal::of(&error))?;
    let usage = summary.ok_or_else(|| no_module(module))?.usage;
    write(
        sinks,
        &format!(
            "{module} with {} and {}",
            count(usage.keys, "key"),
            count(usage.bytes, "byte")
        ),
    )?;
    Ok(STOPPED)
}

fn purge(store: &dyn StateStore, module: &ModuleName, sinks: &mut Sinks<'_>) -> Result<u8, Refusal> {
    match admin::purge(store, module).map_err(|error| Refusal::of(&error))? {
        true => {
            sinks.line(format!("the state of {module} is deleted"));
            let rows = store.view().and_then(|view| operator_rows(&*view));
            if let Some(row) = rows.map_err(|error| Refusal::of(&error))?.get(module) {
                sinks.line(format!("the operator's command stays: the module is {}", row.wanted()));
            }
        }
        false => return Err(no_module(module)),
    }
    Ok(STOPPED)
}

fn compact(store: &dyn StateStore) -> Result<u8, Refusal> {
    store.compact().map_err(|error| Refusal::of(&error))?;
    Ok(STOPPED)
}

fn backup(store: &dyn StateStore, file: &Path, sinks: &mut Sinks<'_>) -> Result<u8, Refusal> {
    let view = store.frozen().map_err(|error| Refusal::of(&error))?;
    let mut progress = rows("copying", sinks.say);
    let copied = nexum_store::backup(&*view, file, &mut |rows| progress(rows, 0));
    copied.map_err(|error| Refusal::with_hint_of(&error))?;
    Ok(STOPPED)
}

fn verify(store: &dyn StateStore, sinks: &mut Sinks<'_>) -> Result<u8, Refusal> {
    let view = store.frozen().map_err(|error| Refusal::of(&error))?;
    let mut progress = rows("reading", sinks.say);
    let faults = admin::verify(&*view, &mut |rows| progress(rows, 0)).map_err(|error| Refusal::of(&error))?;
    drop(progress);
    for fault in &faults {
        write(sinks, &format!("{fault}\n"))?;
    }
    if faults.is_empty() {
        write(sinks, "all is well\n")?;
        return Ok(STOPPED);
    }
    if faults.len() >= admin::FAULTS_MAX {
        write(sinks, "there may be more\n")?;
    }
    Ok(FAILED)
}

/// Reports the progress of a task.
fn rows<'a>(what: &'static str, say: &'a mut dyn FnMut(Said)) -> impl FnMut(u64, u64) + 'a {
    move |rows, of| say(Said::Rows(what.to_owned(), rows, of))
}
