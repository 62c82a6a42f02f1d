//! `nexum state`.

mod bar;
mod show;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use nexum_core::names::ModuleName;
use nexum_core::state::admin;
use nexum_core::store::StateStore;

use crate::args::State;
use crate::compose;
use crate::modules::configure;
use crate::report::{Refusal, Refusals};
use crate::{FAILED, STOPPED};

use bar::Rows;

/// Does what the command says.
///
/// # Errors
///
/// Why it was not done.
pub(crate) fn state(config: Option<&Path>, command: &State) -> Result<u8, Refusals> {
    let (config, notice) = configure(config)?;
    if let Some(notice) = notice {
        eprintln!("{notice}");
    }
    let store = compose::open_state(&config, &format!("nexum state {}", name(command)))?;
    let done = match command {
        State::List { format } => show::list(&*store, *format),
        State::Get { module, key, form } => show::get(&*store, module, key, form),
        State::Scan { module, prefix, limit } => show::scan(&*store, module, prefix, *limit),
        State::Export { module, file } => export(&*store, module, file.as_deref()),
        State::Import { file } => import(&*store, file.as_deref()),
        State::Purge { module, yes } => purge(&*store, module, *yes),
        State::Compact => compact(&*store),
        State::Backup { file } => backup(&store, file),
        State::Verify => verify(&*store),
    };
    done.map_err(Refusals::from)
}

fn name(command: &State) -> &'static str {
    match command {
        State::List { .. } => "list",
        State::Get { .. } => "get",
        State::Scan { .. } => "scan",
        State::Export { .. } => "export",
        State::Import { .. } => "import",
        State::Purge { .. } => "purge",
        State::Compact => "compact",
        State::Backup { .. } => "backup",
        State::Verify => "verify",
    }
}

fn export(store: &dyn StateStore, module: &ModuleName, file: Option<&Path>) -> Result<u8, Refusal> {
    let view = store.frozen().map_err(|error| Refusal::of(&error))?;
    let mut bar = Rows::new("exporting");
    let mut progress = |rows, of| bar.reached(rows, of);
    let rows = match file {
        Some(path) => {
            let mut out = BufWriter::new(create(path)?);
            let written = compose::export(&*view, module, &mut out, &mut progress).map_err(|error| Refusal::of(&error));
            let written = written.and_then(|rows| match out.get_ref().sync_all() {
                Ok(()) => Ok(rows),
                Err(error) => Err(Refusal::of(&error)),
            });
            // Half an export is of no use to anybody.
            written.inspect_err(|_| drop(std::fs::remove_file(path)))?
        }
        None => compose::export(&*view, module, &mut BufWriter::new(io::stdout().lock()), &mut progress)
            .map_err(|error| Refusal::of(&error))?,
    };
    drop(bar);
    eprintln!("{module}: {rows} rows exported");
    Ok(STOPPED)
}

fn import(store: &dyn StateStore, file: Option<&Path>) -> Result<u8, Refusal> {
    let mut bar = Rows::new("importing");
    let mut progress = |rows, of| bar.reached(rows, of);
    let imported = match file {
        Some(path) => {
            let file = File::open(path).map_err(|error| of_file(path, &error))?;
            compose::import(store, &mut BufReader::new(file), &mut progress)
        }
        None => compose::import(store, &mut io::stdin().lock(), &mut progress),
    };
    let (module, rows) = imported.map_err(|error| Refusal::of(&error))?;
    drop(bar);
    eprintln!("{module}: {rows} rows imported");
    Ok(STOPPED)
}

fn purge(store: &dyn StateStore, module: &ModuleName, yes: bool) -> Result<u8, Refusal> {
    let view = store.view().map_err(|error| Refusal::of(&error))?;
    let summary = admin::summary(&*view, module).map_err(|error| Refusal::of(&error))?;
    let summary = summary.ok_or_else(|| no_module(module))?;
    drop(view);
    if !yes {
        if !io::stdin().is_terminal() {
            return Err(Refusal::new("nobody can be asked").with_hint("say `--yes`"));
        }
        eprint!(
            "remove {module} with {} keys and {} bytes? [y/N] ",
            summary.usage.keys, summary.usage.bytes
        );
        let _ = io::stderr().flush();
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|error| Refusal::of(&error))?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(Refusal::new("nothing was removed"));
        }
    }
    admin::purge(store, module).map_err(|error| Refusal::of(&error))?;
    eprintln!("{module}: removed");
    Ok(STOPPED)
}

fn compact(store: &dyn StateStore) -> Result<u8, Refusal> {
    store.compact().map_err(|error| Refusal::of(&error))?;
    Ok(STOPPED)
}

fn backup(store: &Arc<dyn StateStore>, file: &Path) -> Result<u8, Refusal> {
    let view = store.frozen().map_err(|error| Refusal::of(&error))?;
    let mut bar = Rows::new("copying");
    let copied = compose::backup(&*view, file, &mut |rows| bar.reached(rows, 0));
    copied.map_err(|error| Refusal::of(&error))?;
    Ok(STOPPED)
}

fn verify(store: &dyn StateStore) -> Result<u8, Refusal> {
    let view = store.frozen().map_err(|error| Refusal::of(&error))?;
    let mut bar = Rows::new("reading");
    let faults = admin::verify(&*view, &mut |rows| bar.reached(rows, 0));
    drop(bar);
    let faults = faults.map_err(|error| Refusal::of(&error))?;
    for fault in &faults {
        println!("{fault}");
    }
    if faults.is_empty() {
        println!("all is well");
        return Ok(STOPPED);
    }
    if faults.len() >= admin::FAULTS_MAX {
        println!("there may be more");
    }
    Ok(FAILED)
}

/// A new file.
fn create(path: &Path) -> Result<File, Refusal> {
    File::create_new(path).map_err(|error| of_file(path, &error))
}

fn of_file(path: &Path, error: &io::Error) -> Refusal {
    Refusal::new(format!("{}: {error}", path.display()))
}

fn no_module(module: &ModuleName) -> Refusal {
    Refusal::new(format!("the store has no module {module}")).with_hint("`nexum state list` names those that it has")
}
