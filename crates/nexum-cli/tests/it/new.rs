//! `nexum new`, and that each project in Rust passes its tests, builds and can run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Dir, Ran};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Makes a project with the SDK and the versions of dependencies that the repository has.
fn new(dir: &Dir, name: &str, args: &[&str]) -> PathBuf {
    let sdk = root().join("crates/nexum-sdk");
    let sdk = sdk.to_str().expect("UTF-8");
    let made = dir.nexum(&[&["new", name, "--sdk-path", sdk], args].concat());
    assert_eq!(made.code, Some(0), "{name}: {}", made.stderr);
    let project = dir.path().join(name);
    fs::copy(root().join("Cargo.lock"), project.join("Cargo.lock")).expect("the lock file");
    project
}

/// Runs a command in a project. The projects share what cargo compiles.
fn run(mut command: Command, project: &Path) -> Ran {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
    command.current_dir(project).env("CARGO_TARGET_DIR", target);
    Ran::new(command.output().expect("the program"), project)
}

/// Runs the tests of a project, builds it, and checks it with its `engine.toml`.
fn check(project: &Path) {
    let nexum = |command: &str| {
        let mut nexum = Command::new(env!("CARGO_BIN_EXE_nexum"));
        nexum.arg(command).env_remove("NEXUM_LOG").env_remove("RUST_LOG");
        run(nexum, project)
    };
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet"]);
    let tests = run(cargo, project);
    assert_eq!(tests.code, Some(0), "{project:?}: {}{}", tests.stdout, tests.stderr);
    assert!(!tests.stderr.contains("warning"), "{project:?}: {}", tests.stderr);
    assert!(
        !tests.stdout.contains("running 0 tests"),
        "{project:?}: {}",
        tests.stdout
    );

    let built = nexum("build");
    assert_eq!(built.code, Some(0), "{project:?}: {}{}", built.stdout, built.stderr);
    assert!(!built.stderr.contains("warning"), "{project:?}: {}", built.stderr);

    let checked = nexum("check");
    assert_eq!(
        checked.code,
        Some(0),
        "{project:?}: {}{}",
        checked.stdout,
        checked.stderr
    );
    assert!(
        checked.stdout.contains("1 module can run, 0 errors"),
        "{project:?}: {}",
        checked.stdout
    );
    assert_eq!(checked.stderr, "", "{project:?}");
}

#[test]
fn every_template_in_rust_passes_its_tests_and_can_run() {
    let dir = Dir::new();
    for kind in ["block", "event", "cron", "query", "cow"] {
        check(&new(&dir, &format!("a-{kind}"), &["--template", kind]));
    }
    for abi in ["Token", "Vault"] {
        let file = root().join(format!("crates/nexum-sdk/tests/abi/{abi}.json"));
        let file = file.to_str().expect("UTF-8");
        check(&new(&dir, &format!("an-{}", abi.to_lowercase()), &["--abi", file]));
    }
}

/// The first commands of a page, in order.
fn commands(page: &str) -> Vec<String> {
    let page = fs::read_to_string(root().join(page)).expect("the page");
    let block = page.split("\n```").find(|block| block.contains("nexum new "));
    let block = block.expect("the commands").lines().skip(1);
    block.map(str::to_owned).collect()
}

#[test]
fn the_pages_begin_with_these_commands() {
    let dir = Dir::new();
    for page in ["README.md", "docs/getting-started.md", "docs/writing-modules.md"] {
        let commands = commands(page);
        let (made, rest) = commands.split_first().expect("a command");
        let directory = made.strip_prefix("nexum new ").expect("the first command");
        assert_eq!(rest, [format!("cd {directory}"), "nexum dev".to_owned()], "{page}");
        let made = dir.nexum(&["new", &format!("{page}/a/{directory}")]);
        assert_eq!(made.code, Some(0), "{page}: {}", made.stderr);
    }
}

#[test]
fn prints_the_next_commands() {
    let dir = Dir::new();
    let made = dir.nexum(&["new", "my dir/gas-watch"]);
    let expected = "created gas-watch, a module in Rust: it logs the price of gas at each block, and counts the \
                    blocks\n\nnext:\n  cd 'my dir/gas-watch'\n  nexum test\n  nexum dev\n";
    assert_eq!((made.code, &*made.stdout, &*made.stderr), (Some(0), expected, ""));
}

#[test]
fn a_project_in_c_has_a_native_test() {
    let dir = Dir::new();
    let made = dir.nexum(&["new", "watch", "--lang", "c"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(
        made.stdout
            .ends_with("\nnext:\n  cd watch\n  nexum test\n  nexum dev\n"),
        "{}",
        made.stdout
    );
    let tested = dir.nexum(&["test", "watch"]);
    assert_eq!(tested.code, Some(0), "{}", tested.stderr);

    dir.write("watch/test/module.c", "int main(void) { return 1; }\n");
    assert_eq!(dir.nexum(&["test", "watch"]).code, Some(1));

    fs::remove_dir_all(dir.path().join("watch/test")).expect("the test");
    let tested = dir.nexum(&["test", "watch"]);
    let expected = "watch has no native tests: a module in C has them in the directory test\n";
    assert_eq!((tested.code, &*tested.stdout), (Some(0), expected), "{}", tested.stderr);
}

#[test]
fn the_command_line_selects_the_sdk() {
    let dir = Dir::new();
    let sdk = root().join("crates/nexum-sdk").canonicalize().expect("the SDK");
    let path = format!("path = \"{}\"", sdk.display());
    for (option, value, expected) in [
        ("--sdk-path", sdk.to_str().expect("UTF-8"), &*path),
        ("--sdk-version", "0.1.0", "version = \"0.1.0\""),
        (
            "--sdk-git",
            "https://example.com/nexum",
            "git = \"https://example.com/nexum\"",
        ),
    ] {
        let name = &option["--".len()..];
        let made = dir.nexum(&["new", name, option, value]);
        assert_eq!(made.code, Some(0), "{option}: {}", made.stderr);
        let manifest = fs::read_to_string(dir.path().join(name).join("Cargo.toml")).expect("a manifest");
        assert!(
            manifest.contains(&format!("nexum-sdk = {{ {expected} }}\n")),
            "{manifest}"
        );
    }
}

#[test]
fn refuses_what_it_cannot_make() {
    let dir = Dir::new();
    fs::create_dir(dir.path().join("full")).expect("a directory");
    dir.write("full/notes.txt", "mine");
    dir.write("not.json", "{}");
    for (args, expected) in [
        (
            &["full"][..],
            "error: full is not empty: it contains notes.txt\n  hint: nexum new never overwrites a file: choose another \
             name\n",
        ),
        (
            &["Gas"],
            "error: \"Gas\" cannot be the name of the module: a module name is 1 to 64 characters of a-z, 0-9, - and \
             _, and begins with a letter or a digit\n  hint: gas can\n",
        ),
        (
            &["watch", "--abi", "not.json"],
            "error: not.json is not an ABI\n  hint: an ABI is a JSON array, or the member `abi` of the JSON that Foundry \
             or Hardhat writes\n",
        ),
        (
            &["watch", "--sdk-path", "full"],
            "error: full is not the directory of the crate nexum-sdk\n  hint: in a checkout of nexum, it is \
             crates/nexum-sdk\n",
        ),
        (
            &["watch", "--abi", "not.json", "--sdk-path", "full", "--sdk-version", "1"],
            "error: the argument '--sdk-path <DIR>' cannot be used with '--sdk-version <VERSION>'",
        ),
        (
            &["watch", "--lang", "go"],
            "error: invalid value 'go' for '--lang <LANG>'\n  [possible values: rust, js, python, c]",
        ),
    ] {
        let refused = dir.nexum(&[&["new"], args].concat());
        assert_eq!((refused.code, &*refused.stdout), (Some(2), ""), "{args:?}");
        assert!(refused.stderr.starts_with(expected), "{args:?}: {}", refused.stderr);
        assert!(!dir.path().join("watch").exists(), "{args:?}");
    }
    assert_eq!(
        fs::read_to_string(dir.path().join("full/notes.txt")).expect("a file"),
        "mine"
    );
}
