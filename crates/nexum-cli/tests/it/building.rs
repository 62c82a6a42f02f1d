//! `nexum build`: from an author's directory to the files that an operator installs.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::running::Start as _;
use crate::{Dir, Ran};

/// A module with a handler for blocks and one for transfers.
const SOURCE: &str = "\
use nexum_sdk::{Block, Chain, Decoded, Result, info, module, sol};

sol! { event Transfer(address indexed from, address indexed to, uint256 value); }

#[derive(Default)]
struct Watch;

#[module(optional = [\"http\"])]
impl Watch {
    #[on_block(chain_id = 31337)]
    fn on_block(&mut self, block: Block) -> Result {
        info!(\"block {}\", block.number);
        Ok(())
    }

    #[on_event(Transfer)]
    async fn on_transfer(&mut self, transfer: Decoded<Transfer>) -> Result {
        Chain::new(31337).balance(transfer.event.from).await?;
        Ok(())
    }
}
";

const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// The root of the work tree.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the root")
}

/// Writes a crate. A crate without dependencies is built in a second.
fn project(dependencies: &str, lib: &str, source: &str) -> Dir {
    let dir = Dir::new();
    let package = "[package]\nname = \"watch\"\nversion = \"0.3.0\"\nedition = \"2024\"\n";
    dir.write(
        "Cargo.toml",
        format!("{package}\n[lib]\n{lib}\n[dependencies]\n{dependencies}\n[workspace]\n"),
    );
    fs::create_dir(dir.path().join("src")).expect("a directory");
    dir.write("src/lib.rs", source);
    dir
}

const CDYLIB: &str = "crate-type = [\"cdylib\"]\n";

fn project_with_sdk() -> Dir {
    let sdk = root().join("crates/nexum-sdk");
    let dir = project(&format!("nexum-sdk = {{ path = {sdk:?} }}\n"), CDYLIB, SOURCE);
    // With the versions of the guests, which are downloaded and compiled.
    let lock = fs::read(root().join("modules/Cargo.lock")).expect("a lock file");
    dir.write("Cargo.lock", lock);
    dir
}

/// The command `nexum build`, which compiles into the directory of the project.
fn command(dir: &Dir, args: &[&str]) -> Command {
    let mut command = dir.command(&[&["build"], args].concat());
    for variable in ["NEXUM_GUEST_RUSTC", "CARGO_TARGET_DIR", "CARGO_BUILD_BUILD_DIR"] {
        command.env_remove(variable);
    }
    command.env("CARGO_NET_OFFLINE", "true");
    command
}

/// The command `nexum build`, which compiles where the dependencies of the guests are compiled. Only one
/// test may do so: for cargo, two packages of one name in two directories are one.
fn command_among_guests(dir: &Dir, args: &[&str]) -> Command {
    let mut command = command(dir, args);
    command.env("CARGO_TARGET_DIR", root().join("modules/target"));
    if let Some(host) = std::env::var_os("CARGO_BUILD_BUILD_DIR") {
        command.env("CARGO_BUILD_BUILD_DIR", PathBuf::from(host).join("guests"));
    }
    command
}

fn build(dir: &Dir) -> Ran {
    Ran::new(command(dir, &[]).output().expect("the binary"), dir.path())
}

fn build_among_guests(dir: &Dir, args: &[&str]) -> Ran {
    let output = command_among_guests(dir, args).output();
    Ran::new(output.expect("the binary"), dir.path())
}

/// The errors and hints on stderr, without the output of cargo.
fn errors(ran: &Ran) -> Vec<&str> {
    let lines = ran.stderr.lines();
    lines
        .filter(|line| line.starts_with("error: ") || line.starts_with("  hint: "))
        .collect()
}

#[test]
fn a_module_is_built_with_the_manifest_of_its_code() {
    let dir = project_with_sdk();
    let ran = build_among_guests(&dir, &[]);
    let handler = format!("`#[on_event]` with the event signature {TRANSFER}");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert_eq!(
        errors(&ran),
        [
            format!(
                "error: nexum.toml:1:1: subscription: {handler} in the code names no chain, and neither does this file"
            ),
            "  hint: add `chain_id = ...` to the attribute of the handler, or a [[subscription]] with kind = \"log\", \
             event_signature and chain_id to this file"
                .to_owned()
        ]
    );
    assert!(!dir.path().join("build").exists());

    let subscription = "# The token.\n[[subscription]]\nkind = \"log\"\nchain_id = 1\n";
    dir.write("nexum.toml", subscription);
    let ran = build_among_guests(&dir, &["--format", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let component = fs::read(dir.path().join("build/watch.wasm")).expect("a component");
    assert_eq!(report["name"], "watch");
    assert_eq!(report["bytes"], component.len());
    assert_eq!(report["warnings"], serde_json::json!([]));
    let imports = report["imports"].as_array().expect("a list");
    let capabilities: Vec<_> = imports
        .iter()
        .filter(|import| *import != "nexum:host/types@0.2.0")
        .collect();
    assert_eq!(capabilities, ["nexum:host/chain@0.2.0", "nexum:host/logging@0.2.0"]);

    let digest = report["digest"].as_str().expect("a digest");
    let manifest = fs::read_to_string(dir.path().join("build/nexum.toml")).expect("a manifest");
    assert_eq!(
        manifest,
        format!(
            "# `nexum build` made this file from nexum.toml and the code.
[module]
name = \"watch\"
version = \"0.3.0\"
component = \"{digest}\"

[capabilities]
required = [\"chain\"]
optional = [\"http\"]

[chains]
required = [1, 31337]

{subscription}event_signature = \"{TRANSFER}\"

[[subscription]]
kind = \"block\"
chain_id = 31337
"
        )
    );
    an_operator_can_run_it(&dir);
    an_unchanged_module_is_not_written(&dir);
    a_subscription_without_a_handler_is_refused(&dir);
}

fn an_operator_can_run_it(dir: &Dir) {
    let chain = |id: u64| format!("[chains.{id}]\nrpc_url = \"http://127.0.0.1:1\"\n");
    dir.write("engine.toml", chain(1) + &chain(31337));
    let ran = dir.nexum(&["check", "build/watch.wasm"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("1 module can run, 0 errors"), "{}", ran.stdout);
}

fn an_unchanged_module_is_not_written(dir: &Dir) {
    let modified = || {
        ["build/watch.wasm", "build/nexum.toml"].map(|name| {
            let metadata = fs::metadata(dir.path().join(name)).expect("a file");
            metadata.modified().expect("a time")
        })
    };
    let before = modified();
    let ran = build_among_guests(dir, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("module           watch\n"), "{}", ran.stdout);
    assert_eq!(modified(), before);
}

fn a_subscription_without_a_handler_is_refused(dir: &Dir) {
    dir.write(
        "nexum.toml",
        "[[subscription]]\nkind = \"log\"\nchain_id = 1\n\n[[subscription]]\nkind = \"cron\"\nschedule = \"0 * * * *\"\n",
    );
    let ran = build_among_guests(dir, &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert_eq!(
        errors(&ran),
        [
            &format!(
                "error: nexum.toml:5:1: subscription[1]: subscribes to ticks, but the code handles blocks and logs with the \
                 event signature {TRANSFER}"
            ),
            "  hint: remove the subscription, or add a handler for its events to the code"
        ]
    );
}

#[test]
fn a_crate_that_makes_no_component_is_refused() {
    let dir = project("", "", "");
    let ran = build(&dir);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert_eq!(
        errors(&ran),
        [
            "error: <dir>/Cargo.toml: the crate is no `cdylib`, so cargo makes no WebAssembly file of it",
            "  hint: add `crate-type = [\"cdylib\"]` to the table `[lib]`, and have a `src/lib.rs`"
        ]
    );
}

#[test]
fn a_crate_without_a_module_is_refused() {
    let dir = project("", CDYLIB, "#[unsafe(no_mangle)]\npub extern \"C\" fn f() {}\n");
    let ran = build(&dir);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert_eq!(
        errors(&ran),
        [
            "error: watch is no module: it exports nothing",
            "  hint: a module exports `init` with `on-event`, `evaluate` or `invoke`: in Rust, write `#[nexum_sdk::module]` on \
             an `impl`"
        ]
    );
}

#[test]
fn a_compile_error_is_that_of_the_compiler() {
    let dir = project("", CDYLIB, "pub fn f() -> u32 { \"text\" }\n");
    let ran = build(&dir);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("error[E0308]: mismatched types"), "{}", ran.stderr);
    assert!(
        ran.stderr.ends_with("error: cannot compile watch: exit status: 101\n"),
        "{}",
        ran.stderr
    );
    assert!(!dir.path().join("build").exists());
}

#[test]
fn a_directory_without_a_project_is_refused() {
    let dir = Dir::new();
    let ran = build(&dir);
    assert_eq!(ran.code, Some(2));
    assert_eq!(
        ran.stderr,
        "error: <dir>: no module here: the directory has no Cargo.toml, package.json, requirements.txt or src/module.c\n  hint: \
         go to the directory of the module, or add its path to the command\n"
    );
}

/// Writes a program `rustc` whose sysroot is the directory, and so has no target and no linker.
fn rustc_without_targets(dir: &Dir) -> PathBuf {
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in\n--version) echo 'rustc 1.99.0'; echo 'host: any';;\n*) echo '{}';;\nesac\n",
        dir.path().display()
    );
    let rustc = dir.write("rustc", script);
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)).expect("permissions");
    rustc
}

#[test]
fn a_compiler_without_the_target_is_refused() {
    let dir = project("", CDYLIB, "");
    let rustc = rustc_without_targets(&dir);
    let output = command(&dir, &[]).env("NEXUM_GUEST_RUSTC", &rustc).output();
    let ran = Ran::new(output.expect("the binary"), dir.path());
    assert_eq!(ran.code, Some(2));
    assert_eq!(
        ran.stderr,
        "error: NEXUM_GUEST_RUSTC (rustc 1.99.0) has no standard library for wasm32-unknown-unknown\n  hint: name a rustc that \
         has the target, or unset NEXUM_GUEST_RUSTC\n"
    );
}

/// A compiler without linkers for wasm, as that of Debian.
#[test]
fn a_compiler_without_linkers_is_refused_with_the_commands_to_type() {
    let dir = project("", CDYLIB, "");
    rustc_without_targets(&dir);
    let others = std::env::var_os("PATH").expect("a path");
    let paths = std::iter::once(dir.path().to_owned()).chain(std::env::split_paths(&others));
    let path = std::env::join_paths(paths).expect("a path");
    let ran = |args: &[&str]| {
        let mut nexum = command(&dir, args);
        nexum.env("PATH", &path);
        nexum.env("NEXUM_CACHE_DIR", dir.path().join("cache"));
        Ran::new(nexum.output().expect("the binary"), dir.path())
    };
    let commands = "install rustup, and run `rustup default stable` and `rustup target add wasm32-unknown-unknown`";
    let refused = ran(&[]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert_eq!(
        errors(&refused),
        [
            "error: the active Rust toolchain (rustc 1.99.0) has no standard library for wasm32-unknown-unknown",
            &format!("  hint: {commands}")
        ]
    );
    let refused = ran(&["--make-toolchain"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert_eq!(
        errors(&refused),
        [
            "error: cannot make a compiler for guests from Debian's packages: the active Rust toolchain has no \
             wasm-component-ld in <dir>/lib/rustlib/any/bin",
            &format!("  hint: no package of Debian has it: {commands}")
        ]
    );
}

/// A first nexum holds the lock of the tool that a second one needs.
#[test]
fn an_interrupt_ends_the_wait_for_another_nexum() {
    let dir = Dir::new();
    let made = dir.nexum(&["new", "watch", "--lang", "js"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let tools = dir.path().join("cache/tools");
    fs::create_dir_all(&tools).expect("a directory");
    let held = fs::File::create(tools.join("componentize-qjs-0.4.5.lock")).expect("a file");
    held.lock().expect("the lock");
    for signal in ["-INT", "-TERM", "-HUP"] {
        let mut nexum = command(&dir, &["watch"]);
        nexum.env("NEXUM_CACHE_DIR", dir.path().join("cache"));
        let mut child = nexum.stderr(Stdio::piped()).start();
        let stderr = BufReader::new(child.stderr.take().expect("stderr"));
        let waits = "nexum waits for the cache, which another nexum uses to make componentize-qjs-0.4.5 ...";
        let mut lines = stderr.lines().map(|line| line.expect("UTF-8"));
        assert!(lines.any(|line| line == waits), "{signal}");
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
        assert_eq!(child.wait().expect("the end").code(), Some(130), "{signal}");
        assert_eq!(lines.last().as_deref(), Some("error: interrupted"), "{signal}");
    }
}

/// The build script of the project runs below cargo, which runs below nexum.
#[test]
fn an_interrupt_leaves_no_process() {
    let dir = project("", CDYLIB, "");
    let pipe = dir.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    dir.write(
        "build.rs",
        format!(
            "use std::io::Write;
fn main() {{
    let mut pipe = std::fs::OpenOptions::new().write(true).open({pipe:?}).unwrap();
    pipe.write_all(b\"!\").unwrap();
    loop {{ std::thread::park(); }}
}}
"
        ),
    );
    let mut nexum = command(&dir, &[]);
    let child = nexum.stdout(Stdio::piped()).stderr(Stdio::piped()).start();
    let mut open = fs::File::open(&pipe).expect("the pipe, when the build script opens it");
    let mut first = [0];
    open.read_exact(&mut first).expect("the build script runs");
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill").success());
    let mut rest = Vec::new();
    open.read_to_end(&mut rest)
        .expect("the end of the pipe, when the build script has ended");
    let ran = Ran::new(child.wait_with_output().expect("the end"), dir.path());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("error: interrupted\n"), "{}", ran.stderr);
}
