//! The help of every command, as an operator reads it in a terminal of 80 columns.
//!
//! The test finds the commands in the help itself, so it covers a new command without a change here.
//! `cargo xtask prose` reads the snapshots, and rejects the words that the project avoids.

use crate::Dir;

/// Columns of the terminal: the width that a help text must fit.
const COLUMNS: usize = 80;

/// The command that clap adds to each command with subcommands.
const ADDED_BY_CLAP: &str = "help";

/// The output of `nexum PATH --help` in a terminal of this width.
pub(crate) fn help(dir: &Dir, path: &[String], columns: usize) -> String {
    let mut command = dir.command(&[]);
    let command = command.args(path).arg("--help").env("COLUMNS", columns.to_string());
    let output = command.env("NO_COLOR", "1").output().expect("the binary");
    assert!(output.status.success(), "{path:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The subcommands that a help text lists.
pub(crate) fn subcommands(help: &str) -> Vec<String> {
    let listed = help.split("Commands:\n").nth(1).unwrap_or_default();
    let listed = listed.split("\n\n").next().unwrap_or_default();
    let names = listed
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !name.is_empty() && *name != ADDED_BY_CLAP);
    names.map(str::to_owned).collect()
}

/// The examples and notes of a help text, which follow its last option.
fn notes(help: &str) -> &str {
    help.rsplit("Print version\n").next().unwrap_or_default()
}

/// The help of a command and all commands below it, each under the line that prints it.
fn transcript(dir: &Dir, path: &[String]) -> String {
    let own = help(dir, path, COLUMNS);
    let unwrapped = help(dir, path, 10 * COLUMNS);
    assert_eq!(
        notes(&own),
        notes(&unwrapped),
        "{path:?}: a line of the notes is too long"
    );
    for line in own.lines() {
        assert!(
            line.chars().count() <= COLUMNS,
            "{path:?}: over {COLUMNS} columns: {line}"
        );
    }
    let below = subcommands(&own);
    let own = format!("$ nexum {} --help\n{own}", path.join(" "));
    let below = below
        .iter()
        .map(|name| transcript(dir, &[path, std::slice::from_ref(name)].concat()));
    std::iter::once(own).chain(below).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_command_has_a_help_of_80_columns() {
    let dir = Dir::new();
    let commands = subcommands(&help(&dir, &[], COLUMNS));
    assert!(commands.iter().any(|name| name == "run"), "{commands:?}");
    // Other builds have fewer commands.
    if cfg!(all(
        feature = "author",
        feature = "identity",
        feature = "store-postgres",
        feature = "top"
    )) {
        insta::assert_snapshot!("help", help(&dir, &[], COLUMNS));
    }
    // `check --online` needs the runtime.
    let is_whole = |command: &String| cfg!(feature = "runtime") || command != "check";
    for command in commands.into_iter().filter(is_whole) {
        insta::assert_snapshot!(format!("help_{command}"), transcript(&dir, &[command]));
    }
}

#[test]
fn no_color_overrides_forced_colors() {
    const ESCAPE: u8 = 0x1b;
    let dir = Dir::new();
    let colored = |no_color: &str| {
        let mut command = dir.command(&["--help"]);
        let command = command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", no_color);
        command.output().expect("the binary").stdout.contains(&ESCAPE)
    };
    assert!(colored(""), "an empty NO_COLOR sets nothing");
    assert!(!colored("1"));
}

#[test]
fn a_usage_line_has_the_module_before_what_is_asked_of_it() {
    let dir = Dir::new();
    let usage = |args: &[&str]| {
        let refused = dir.nexum(args);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        let (_, usage) = refused.stderr.split_once("Usage: ").expect("a usage");
        let lines = usage.lines().take_while(|line| !line.is_empty());
        lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let query = [
        "<FUNCTION> [--args <JSON>]",
        "--args <JSON>",
        "--list",
        "--input <TEXT>",
        "--input-hex <DIGITS>",
        "--input-file <FILE>",
    ]
    .map(|question| format!("nexum query [OPTIONS] <MODULE> {question}"));
    for args in [&["query"][..], &["query", "a-module"]] {
        assert_eq!(usage(args), query);
    }
    for command in ["retry", "skip"] {
        let letters =
            ["<EVENT>...", "--all"].map(|which| format!("nexum dead-letter {command} [OPTIONS] <MODULE> {which}"));
        assert_eq!(usage(&["dead-letter", command]), letters);
        assert_eq!(usage(&["dead-letter", command, "a-module"]), letters);
    }
    assert_eq!(usage(&["state", "get", "a-module"]), ["nexum state get <MODULE> <KEY>"]);
    assert_eq!(usage(&["module", "load"]), ["nexum module load <MODULE.wasm>"]);
}
