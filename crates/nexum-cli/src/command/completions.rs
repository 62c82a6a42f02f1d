//! Completion of a command line by a shell.
//!
//! `nexum completions SHELL` prints a script. At each Tab, the script runs nexum with the words of the
//! line and with [`VARIABLE`], and [`answer`] prints the words that can follow.

use std::any::TypeId;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Command;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{Shell, generate};
use nexum_config::engine::{Config, ModuleConfig};
use nexum_config::manifest::Manifest;
use nexum_config::names::ModuleName;

use crate::args;
use crate::configure::configure_all;
use crate::report::print::end_on_failed_write;

/// The variable with the shell's name in the scripts. It makes nexum answer a script instead of
/// carrying out a command.
const VARIABLE: &str = "NEXUM_COMPLETE";

/// The name of the program in the scripts.
const PROGRAM: &str = "nexum";

/// The end of the script for zsh. As the file `_nexum` in a directory of `fpath`, zsh reads the script
/// at the first Tab, in place of a completion. Without these lines, the first Tab would do nothing.
const ZSH_FIRST_TAB: &str = "\
if [ \"$funcstack[1]\" = \"_nexum\" ]; then
    _clap_dynamic_completer_nexum \"$@\"
fi
";

/// The options that name the configuration.
const CONFIG_OPTIONS: [&str; 2] = ["--config", "-c"];

/// Answers a completion script, and ends the process. Returns if no script asks.
pub(crate) fn answer(version: &str) {
    let command_line = || with_module_names(args::command_line(version.to_owned()));
    CompleteEnv::with_factory(command_line)
        .var(VARIABLE)
        .bin(PROGRAM)
        .completer(PROGRAM)
        .complete();
}

/// Prints the completion script of a shell, for the command line of a build with this version.
pub(crate) fn completions(shell: Shell, version: String) {
    let mut script = Vec::new();
    let written = match Shells::builtins().completer(&shell.to_string()) {
        Some(shell) => shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script),
        None => {
            // A script with all words, for a shell that cannot ask for them.
            generate(shell, &mut args::command_line(version), PROGRAM, &mut script);
            Ok(())
        }
    };
    if shell == Shell::Zsh {
        script.extend_from_slice(ZSH_FIRST_TAB.as_bytes());
    }
    if let Err(error) = written.and_then(|()| std::io::stdout().write_all(&script)) {
        end_on_failed_write(&error);
    }
}

/// The command line with candidates for each argument that is a module's name.
fn with_module_names(command: Command) -> Command {
    let is_module = |argument: &clap::Arg| argument.get_value_parser().type_id() == TypeId::of::<ModuleName>();
    command
        .mut_args(|argument| match is_module(&argument) {
            true => argument.add(ArgValueCandidates::new(module_names)),
            false => argument,
        })
        .mut_subcommands(with_module_names)
}

/// The names of the modules: of the running daemon, or else of the configuration. Without both, there
/// are none: an error would appear in the line that the user types.
fn module_names() -> Vec<CompletionCandidate> {
    let named = named_config(std::env::args_os());
    let Ok(configuration) = configure_all(named.as_deref(), &mut Vec::new()) else {
        return Vec::new();
    };
    let config = configuration.config;
    let names = running::modules(&config).unwrap_or_else(|| configured(&config));
    names
        .iter()
        .map(|name| CompletionCandidate::new(name.as_str()))
        .collect()
}

/// The names that the configuration, the manifests and the components' files give.
fn configured(config: &Config) -> Vec<ModuleName> {
    let of_manifest = |module: &ModuleConfig| {
        let manifests = module.manifest_paths(Default::default());
        manifests.iter().find_map(|path| Manifest::load(path).ok()?.name)
    };
    let name = |module: &ModuleConfig| {
        let name = module.name.clone().or_else(|| of_manifest(module));
        name.or_else(|| ModuleName::of_file(module.path.shown()).ok())
    };
    config.modules.iter().filter_map(name).collect()
}

/// The file after `--config` in the words of the line.
fn named_config(words: impl IntoIterator<Item = OsString>) -> Option<PathBuf> {
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if CONFIG_OPTIONS.iter().any(|option| word == *option) {
            return words.next().map(PathBuf::from);
        }
        let long = word.to_str().and_then(|word| word.strip_prefix("--config="));
        if let Some(path) = long {
            return Some(path.into());
        }
    }
    None
}

#[cfg(feature = "runtime")]
mod running {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use nexum_config::engine::Config;
    use nexum_config::names::ModuleName;

    use crate::client::Client;

    /// The longest wait for the daemon, which usually answers within milliseconds. The user waits for the
    /// words.
    const PATIENCE: Duration = Duration::from_millis(300);

    /// The modules of the daemon with this configuration, if it answers in time.
    pub(super) fn modules(config: &Config) -> Option<Vec<ModuleName>> {
        let state_dir = config.state_dir.clone();
        let (sender, names) = mpsc::channel();
        // The thread ends with the process.
        let asking = thread::Builder::new().spawn(move || {
            let modules = Client::of(&state_dir).modules();
            // The receiver may have lost its patience.
            let _ = sender.send(modules.ok());
        });
        asking.ok()?;
        let modules = names.recv_timeout(PATIENCE).ok()??;
        // A refused module has the path of its file in place of a name.
        Some(modules.iter().filter_map(|module| module.name.parse().ok()).collect())
    }
}

#[cfg(not(feature = "runtime"))]
mod running {
    use nexum_config::engine::Config;
    use nexum_config::names::ModuleName;

    /// A build without the runtime asks no daemon.
    pub(super) fn modules(_: &Config) -> Option<Vec<ModuleName>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_configuration_among_the_words() {
        let found = |line: &str| named_config(line.split(' ').map(OsString::from));
        for line in [
            "nexum -- nexum status -c a.toml",
            "nexum status --config=a.toml k",
            "-c a.toml -c",
        ] {
            assert_eq!(found(line), Some("a.toml".into()), "{line}");
        }
        for line in ["nexum -- nexum status", "nexum status --config"] {
            assert_eq!(found(line), None, "{line}");
        }
    }
}
