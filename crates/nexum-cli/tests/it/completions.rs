//! The completion scripts, run by a shell.

use std::process::{Command, Stdio};

use nexum_testing::{Anvil, guests};

use crate::Dir;
use crate::control::{BLOCKS, done, start};
use crate::running::terminate;

/// Reads the script of nexum, and completes the last word of a line as bash does when its user
/// presses Tab. Prints a candidate per line.
const BASH: &str = r#"
source <(nexum completions bash)
words=("$@")
spec=$(complete -p nexum)
function=${spec##*-F }
function=${function%% *}
COMP_WORDS=("${words[@]}")
COMP_CWORD=$((${#words[@]} - 1))
COMP_LINE="${words[*]}"
COMP_POINT=${#COMP_LINE}
COMP_TYPE=9
"$function" nexum "${words[COMP_CWORD]}" "${words[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// The candidates for the last word. Fails if the shell or nexum writes to stderr: the text would
/// appear in the user's line.
fn candidates(dir: &Dir, words: &[&str]) -> Vec<String> {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_nexum"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once(binary.parent().expect("a directory").to_owned());
    let path = std::env::join_paths(directories.chain(std::env::split_paths(&path))).expect("a PATH");
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", BASH, "bash", "nexum"]).args(words);
    let bash = bash.current_dir(dir.path()).env("PATH", path).stdin(Stdio::null());
    let output = bash.output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines
        .lines()
        .map(|line| line.trim_end().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn a_shell_completes_the_modules_of_the_configuration() {
    let dir = Dir::new();
    dir.write(
        "engine.toml",
        "[[modules]]\nname = \"by-name\"\npath = \"a.wasm\"\n[[modules]]\npath = \"by_file.wasm\"\n\
         [[modules]]\npath = \"c.wasm\"\nmanifest = \"c.toml\"\n",
    );
    dir.write("c.toml", "[module]\nname = \"of-manifest\"\n");
    dir.write("other.toml", "[[modules]]\nname = \"other\"\npath = \"a.wasm\"\n");
    let all = ["by-file", "by-name", "of-manifest"];
    for line in [
        &["limits", ""][..],
        &["query", ""],
        &["module", "restart", ""],
        &["dead-letter", "list", ""],
        &["state", "get", ""],
    ] {
        let mut found = candidates(&dir, line);
        found.retain(|candidate| !candidate.starts_with('-'));
        found.sort_unstable();
        assert_eq!(found, all, "{line:?}");
    }
    assert_eq!(candidates(&dir, &["module", "stop", "by-n"]), ["by-name"]);
    for config in [
        &["--config", "other.toml"][..],
        &["-c", "other.toml"],
        &["--config=other.toml"],
    ] {
        let line = [&["module", "stop"], config, &["o"]].concat();
        assert_eq!(candidates(&dir, &line), ["other"], "{line:?}");
    }
    assert_eq!(candidates(&dir, &["modu"]), ["module"]);
}

#[test]
fn a_shell_completes_nothing_when_there_are_no_names() {
    let dir = Dir::new();
    assert_eq!(candidates(&dir, &["module", "stop", "a"]), [""; 0]);
    dir.write("engine.toml", "this is no TOML");
    assert_eq!(candidates(&dir, &["module", "stop", "a"]), [""; 0]);
}

#[tokio::test]
async fn a_shell_completes_the_modules_of_the_running_daemon() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.write("nexum.toml", BLOCKS);
    let path = guests::component("noop").display().to_string();
    let module = format!("[[modules]]\nname = \"configured\"\npath = {path:?}\nmanifest = \"nexum.toml\"\n");
    let child = start(&dir, &anvil, &module, &["run"]);
    let load = [
        "module",
        "load",
        &path,
        "--name",
        "loaded-later",
        "--manifest",
        "nexum.toml",
    ];
    done(&dir, &load, "loaded-later is loaded");
    assert_eq!(candidates(&dir, &["module", "stop", "loaded"]), ["loaded-later"]);
    assert_eq!(candidates(&dir, &["module", "stop", "conf"]), ["configured"]);
    done(&dir, &["module", "remove", "loaded-later"], "loaded-later is removed");
    assert_eq!(candidates(&dir, &["module", "stop", "loaded"]), [""; 0]);
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}
