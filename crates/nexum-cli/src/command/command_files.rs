//! The commands among the files that `nexum check` gets: files for `nexum exec`.

use std::path::{Path, PathBuf};

use nexum_config::command::{CommandFile, CommandKind};
use serde::Serialize;

use crate::args::Files;
use crate::report::list;
use crate::report::print::{fact, outln};

/// A command that can run.
#[derive(Serialize)]
pub(crate) struct Finding {
    path: String,
    kind: &'static str,
    digest: String,
    imports: Vec<String>,
    exports: Vec<String>,
    memories: u32,
    memory_bytes_min: u64,
}

/// Takes the commands from the components, by the content of the files. A file that nexum cannot
/// read counts as a module, and so does a file with a manifest.
pub(crate) fn take(files: &mut Files) -> Vec<PathBuf> {
    let is_command = |(path, manifest): &mut (PathBuf, Option<PathBuf>)| {
        manifest.is_none() && CommandFile::read(&path.as_path().into()).is_ok_and(|file| file.is_command())
    };
    let commands = files.components.extract_if(.., is_command);
    commands.map(|(path, _)| path).collect()
}

/// The warning about a configuration that nexum does not read, because every file is a command.
pub(crate) fn unread(files: &Files) -> Option<String> {
    let config = files.config.as_ref()?;
    Some(format!(
        "{}: not checked, because every file is a command",
        config.display()
    ))
}

/// The kind of a command, in words.
pub(crate) fn kind(kind: CommandKind) -> &'static str {
    match kind {
        CommandKind::Component => "command (component, WASI preview 2)",
        CommandKind::CoreModule => "command (core module, WASI preview 1)",
    }
}

impl Finding {
    pub(crate) fn of(path: &Path, file: &CommandFile) -> Self {
        Self {
            path: path.display().to_string(),
            kind: kind(file.kind),
            digest: file.digest.to_string(),
            imports: file.summary.imports.clone(),
            exports: file.summary.exports.clone(),
            memories: file.summary.memories,
            memory_bytes_min: file.summary.memory_bytes_min,
        }
    }

    pub(crate) fn print(&self) {
        outln!("{}", self.path);
        fact("  kind", self.kind);
        fact("  digest", &self.digest);
        fact("  exports", &list(&self.exports));
        fact("  imports", &list(&self.imports));
        let memory = format!("{} of {} bytes at the start", self.memories, self.memory_bytes_min);
        fact("  memories", &memory);
        outln!("");
    }
}
