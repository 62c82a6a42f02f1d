//! `nexum state`: each command is a [`Task`] for the process that has the store open: this one, or the
//! running daemon.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use nexum_config::engine::Config;
use nexum_config::names::ModuleName;
use nexum_config::regular_file;
use nexum_core::store::StateStore;
use nexum_store::{Backend, Commands, REPLACED, Restored};

use super::confirm::confirm;
use crate::args::State;
use crate::client::Client;
use crate::compose;
use crate::configure::{ConfigFile, Configuration, configure_state_dir};
use crate::error_code::ErrorCode;
use crate::exit_code::STOPPED;
use crate::protocol::error::ErrorBody;
use crate::protocol::frames::Said;
use crate::report::bars::Progress;
use crate::report::print::{end_on_failed_write, errln, outln};
use crate::report::{Refusal, Refusals, causes, count};
use crate::state::{Sinks, Task, import, open, restore_backup};

/// The process that has the store open.
enum Target<'a> {
    Here(Arc<dyn StateStore>),
    There(Client<'a>),
}

impl Target<'_> {
    fn perform(&self, task: &Task, sinks: &mut Sinks<'_>) -> Result<u8, Refusals> {
        match self {
            Self::Here(store) => task.perform(&**store, sinks).map_err(as_the_daemon),
            Self::There(client) => client.perform(task, sinks),
        }
    }

    fn import(&self, input: Box<dyn Read + Send>, sinks: &mut Sinks<'_>) -> Result<u8, Refusals> {
        match self {
            Self::Here(store) => {
                let imported = import(&**store, &mut BufReader::new(input), sinks);
                imported.map_err(|error| as_the_daemon(Refusal::of(&error)))
            }
            Self::There(client) => client.import(input, sinks),
        }
    }

    /// Performs a task whose output goes to stdout.
    fn show(&self, task: &Task) -> Result<u8, Refusals> {
        let mut out = Stdout::default();
        let shown = self.write(task, &mut BufWriter::new(&mut out));
        match out.failed {
            Some(error) => end_on_failed_write(&error),
            None => shown,
        }
    }

    fn write(&self, task: &Task, out: &mut dyn Write) -> Result<u8, Refusals> {
        let mut terminal = Terminal::default();
        let done = self.perform(
            task,
            &mut Sinks {
                out,
                say: &mut |said| terminal.say(said),
            },
        );
        terminal.end();
        let flushed = out.flush().map_err(|error| Refusal::of(&error));
        let code = done?;
        flushed?;
        Ok(code)
    }
}

/// Gives an error the code and the hint that it has when the daemon performs the task.
fn as_the_daemon(refusal: Refusal) -> Refusals {
    ErrorBody::new(ErrorCode::StateTaskFailed, refusal.into()).into()
}

/// Carries out a command.
///
/// # Errors
///
/// The reason of a failure.
pub(crate) fn state(config: Option<&Path>, command: &State) -> Result<u8, Refusals> {
    let Configuration {
        file, config, notices, ..
    } = configure_state_dir(config)?;
    for notice in notices {
        errln!("{notice}");
    }
    let target = || target(&config, &file, command);
    let text = ModuleName::to_string;
    match command {
        State::List { format } => target()?.show(&Task::List { format: *format }),
        State::Get { module, key, form } => target()?.show(&Task::Get {
            module: text(module),
            key: key.clone(),
            form: *form,
        }),
        State::Scan { module, prefix, limit } => target()?.show(&Task::Scan {
            module: text(module),
            prefix: prefix.clone(),
            limit: *limit,
        }),
        State::Export { module, file } => {
            let module = text(module);
            export(&target()?, &Task::Export { module }, file.as_deref())
        }
        State::ExportAccounts { file } => export(&target()?, &Task::ExportAccounts, file.as_deref()),
        State::Import { file, .. } => import_from(&target()?, file.as_deref()),
        State::Purge { module, yes, .. } => purge(&target()?, module, *yes),
        State::Compact => target()?.show(&Task::Compact),
        State::Backup { file, .. } => {
            let file = std::path::absolute(file).map_err(|error| of_file(file, &error))?;
            target()?.show(&Task::Backup { file })
        }
        State::Restore { file, replace, yes } => restore(&config, file, *replace, *yes),
        State::Verify => target()?.show(&Task::Verify),
    }
}

/// Writes the outcome of `nexum state verify` to `out`. Returns the exit code.
///
/// # Errors
///
/// The reason why there is no outcome.
pub(super) fn verify(config: &Config, file: &ConfigFile, out: &mut dyn Write) -> Result<u8, Refusals> {
    target(config, file, &State::Verify)?.write(&Task::Verify, out)
}

/// Writes the rows of a module to `out`, as `nexum state export` does. Returns false if the module has no state.
///
/// # Errors
///
/// The reason of a failure.
pub(super) fn copy(
    config: &Config,
    file: &ConfigFile,
    module: &ModuleName,
    out: &mut dyn Write,
) -> Result<bool, Refusals> {
    let client = Client::of(&config.state_dir).configured_by(file);
    let target = match client.is_answered() {
        true => Target::There(client),
        false if !has_state(config)? => return Ok(false),
        false => Target::Here(open_here(config, "a trial of a module")?),
    };
    let task = Task::Export {
        module: module.to_string(),
    };
    let sinks = &mut Sinks { out, say: &mut |_| {} };
    match target.perform(&task, sinks) {
        Ok(_) => Ok(true),
        Err(refusals) if refusals.has(ErrorCode::StateNotFound) => Ok(false),
        Err(refusals) => Err(refusals),
    }
}

/// The running daemon, or the state itself while none runs.
fn target<'a>(config: &'a Config, file: &'a ConfigFile, command: &'a State) -> Result<Target<'a>, Refusals> {
    let client = Client::of(&config.state_dir).configured_by(file);
    let client = match command {
        State::Backup { why, .. } | State::Import { why, .. } | State::Purge { why, .. } => client.because(why),
        _ => client,
    };
    if client.is_answered() {
        return Ok(Target::There(client));
    }
    if !has_state(config)? && !matches!(command, State::Import { .. }) {
        let (directory, role) = (config.state_dir.display(), file.state_directory());
        let refusal = Refusal::new(format!("there is no state in {directory}, {role}"));
        return Err(refusal
            .with_hint("name the configuration of the state with --config")
            .into());
    }
    Ok(Target::Here(open_here(
        config,
        &format!("nexum state {}", name(command)),
    )?))
}

/// Whether there may be state.
pub(super) fn has_state(config: &Config) -> Result<bool, Refusals> {
    let found = compose::store_config(config)?.has_state(&config.state_dir);
    Ok(found.map_err(|error| Refusal::of(&error))?)
}

/// Opens the state in this process. Another process that tries to open it meanwhile shows `purpose`.
pub(super) fn open_here(config: &Config, purpose: &str) -> Result<Arc<dyn StateStore>, Refusals> {
    Ok(open(&compose::store_config(config)?, config, purpose)?)
}

fn name(command: &State) -> &'static str {
    match command {
        State::List { .. } => "list",
        State::Get { .. } => "get",
        State::Scan { .. } => "scan",
        State::Export { .. } => "export",
        State::ExportAccounts { .. } => "export-accounts",
        State::Import { .. } => "import",
        State::Purge { .. } => "purge",
        State::Compact => "compact",
        State::Backup { .. } => "backup",
        State::Restore { .. } => "restore",
        State::Verify => "verify",
    }
}

fn export(target: &Target<'_>, task: &Task, file: Option<&Path>) -> Result<u8, Refusals> {
    let Some(path) = file else {
        return target.show(task);
    };
    let mut out = BufWriter::new(File::create_new(path).map_err(|error| of_file(path, &error))?);
    let written = target.write(task, &mut out);
    let written = written.and_then(|code| match out.get_ref().sync_all() {
        Ok(()) => Ok(code),
        Err(error) => Err(Refusal::of(&error).into()),
    });
    // A partial export cannot be imported.
    written.inspect_err(|_| drop(std::fs::remove_file(path)))
}

fn import_from(target: &Target<'_>, file: Option<&Path>) -> Result<u8, Refusals> {
    let input: Box<dyn Read + Send> = match file {
        Some(path) => Box::new(regular_file::open(path).map_err(|error| Refusal::of_input(path, &error))?),
        None => Box::new(io::stdin()),
    };
    let mut terminal = Terminal::default();
    let imported = target.import(
        input,
        &mut Sinks {
            out: &mut io::sink(),
            say: &mut |said| terminal.say(said),
        },
    );
    terminal.end();
    imported
}

/// Makes a backup the state of this configuration. No daemon may have the state open.
fn restore(config: &Config, file: &Path, replace: bool, yes: bool) -> Result<u8, Refusals> {
    let store = compose::store_config(config)?;
    if store.backend != Backend::Redb {
        let refusal = Refusal::new(format!(
            "a backup cannot be restored with the back-end {}",
            store.backend
        ));
        return Err(refusal
            .with_hint("remove `backend` from [store]: backups are files of redb, the default")
            .into());
    }
    if replace && !yes && has_state(config)? {
        let directory = config.state_dir.display();
        confirm(&format!("replace the state in {directory}, and keep it as {REPLACED}?"))?;
    }
    let mut terminal = Terminal::default();
    let mut checked = |rows| terminal.say(Said::Rows("checking".to_owned(), rows, 0));
    let restored = restore_backup(file, config, replace, &mut checked);
    terminal.end();
    show_restored(&restored?);
    outln!("restored into {}", config.state_dir.display());
    Ok(STOPPED)
}

fn show_restored(restored: &Restored) {
    let mut has_commands = false;
    for module in &restored.modules {
        let wanted = module.operator.as_ref().map(|row| format!(", wanted {}", row.wanted()));
        has_commands |= wanted.is_some();
        outln!(
            "{}: {}, {}{}",
            module.name,
            count(module.usage.keys, "key"),
            count(module.usage.bytes, "byte"),
            wanted.unwrap_or_default()
        );
    }
    match &restored.commands {
        Commands::Former => outln!("what the operator stopped, loaded or removed stays so"),
        Commands::Backup if !has_commands => {}
        Commands::Backup => outln!("modules are stopped, loaded and removed as in the backup"),
        Commands::Lost(error) => errln!(
            "warning: modules are stopped, loaded and removed as in the backup, because the former state cannot be \
             read: {}",
            causes(error)
        ),
    }
}

fn purge(target: &Target<'_>, module: &ModuleName, yes: bool) -> Result<u8, Refusals> {
    let module = module.to_string();
    let mut weight = Vec::new();
    target.write(&Task::Weigh { module: module.clone() }, &mut weight)?;
    if !yes {
        confirm(&format!("delete the state of {}?", String::from_utf8_lossy(&weight)))?;
    }
    target.show(&Task::Purge { module })
}

/// Stdout, with the error of the write that failed.
#[derive(Default)]
struct Stdout {
    failed: Option<io::Error>,
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes).map_err(|error| self.keep(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush().map_err(|error| self.keep(error))
    }
}

impl Stdout {
    /// Stores the error. Returns another error of its kind, because an `io::Error` cannot be
    /// cloned.
    fn keep(&mut self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.failed = Some(error);
        kind.into()
    }
}

/// The messages beside the output, on stderr. Lines appear at the end, after the bar is removed.
#[derive(Default)]
struct Terminal {
    bar: Option<Progress>,
    lines: Vec<String>,
}

impl Terminal {
    fn say(&mut self, said: Said) {
        match said {
            Said::Line(line) => self.lines.push(line),
            Said::Rows(what, rows, of) => self
                .bar
                .get_or_insert_with(|| Progress::new(what, "rows"))
                .reached(rows, of),
        }
    }

    fn end(mut self) {
        drop(self.bar.take());
        for line in &self.lines {
            errln!("{line}");
        }
    }
}

fn of_file(path: &Path, error: &io::Error) -> Refusal {
    Refusal::new(format!("{}: {error}", path.display()))
}
