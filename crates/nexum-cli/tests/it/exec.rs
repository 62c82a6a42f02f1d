//! `nexum exec`: commands under a shell and under systemd.

mod check;
mod files;
mod limits;
mod network;
mod refusals;
mod signals;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use nexum_testing::guests;

use crate::running::{Start as _, Started};
use crate::{Dir, Ran};

/// The longest wait for anything: far longer than a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A preview 1 module with this code in its `_start`, and `data` at the start of its memory.
fn preview_1(data: &str, start: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "{data}")
            (func $inner (unreachable))
            (func $main (export "_start") {start}))"#
    );
    wat::parse_str(text).expect("a module")
}

/// A preview 2 component. Its `run` returns `ok` for 0, and `err` for 1.
fn preview_2(answer: u8) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $module (func (export "run") (result i32) (i32.const {answer})))
            (core instance $instance (instantiate $module))
            (func $run (result (result)) (canon lift (core func $instance "run")))
            (instance $interface (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $interface)))"#
    );
    wat::parse_str(text).expect("a component")
}

impl Dir {
    /// `nexum exec` with these options, and a command with these arguments.
    fn errand(&self, options: &[&str], args: &[&str]) -> Command {
        let package = guests::command("errand").display().to_string();
        self.command(&[&["exec"], options, &[package.as_str(), "--"], args].concat())
    }

    /// Starts an errand, with a pipe for its input and a pipe for its output.
    fn pipe_errand(&self, args: &[&str]) -> Started {
        let mut command = self.errand(&[], args);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.start()
    }

    fn run_errand(&self, options: &[&str], args: &[&str]) -> Ran {
        let output = self.errand(options, args).output().expect("the binary");
        Ran::new(output, self.path())
    }
}

/// The results of several errands of one command, with these options.
fn went(dir: &Dir, options: &[&str], errands: &[&[&str]]) -> Vec<String> {
    let ran = dir.run_errand(options, &errands.join(&"then"));
    let lines: Vec<_> = printed(&ran).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), errands.len(), "{} {}", ran.stdout, ran.stderr);
    lines
}

/// The output of the command.
fn printed(ran: &Ran) -> &str {
    let printed = ran.stdout.strip_prefix("READY\n");
    printed.unwrap_or_else(|| panic!("not ready: {} {}", ran.stdout, ran.stderr))
}

#[test]
fn exits_with_the_commands_own_code() {
    let dir = Dir::new();
    for code in ["0", "7", "255"] {
        let ran = dir.run_errand(&[], &["exit", code]);
        assert_eq!(
            ran.code.map(|code| code.to_string()).as_deref(),
            Some(code),
            "{}",
            ran.stderr
        );
        assert_eq!((printed(&ran), ran.stderr.as_str()), ("", ""));
    }
    assert_eq!(dir.run_errand(&[], &["fail"]).code, Some(1));
    for (name, bytes, code) in [
        ("returns", preview_1("", ""), 0),
        ("exits-0", preview_1("", "(call $exit (i32.const 0))"), 0),
        ("exits-5", preview_1("", "(call $exit (i32.const 5))"), 5),
        ("exits-125", preview_1("", "(call $exit (i32.const 125))"), 125),
        ("answers-ok", preview_2(0), 0),
        ("answers-err", preview_2(1), 1),
    ] {
        dir.write(name, bytes);
        let ran = dir.nexum(&["exec", name]);
        assert_eq!(ran.code, Some(code), "{name}: {}", ran.stderr);
        assert_eq!((printed(&ran), ran.stderr.as_str()), ("", ""), "{name}");
    }
}

#[test]
fn a_package_is_a_file_or_a_directory_with_app_wasm() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path().join("package")).expect("a directory");
    let command = preview_1("", "(call $exit (i32.const 9))");
    dir.write("package/app.wasm", &command);
    dir.write("tool.wasm", &command);
    std::os::unix::fs::symlink("tool.wasm", dir.path().join("link")).expect("a link");
    for package in ["package", "package/", "package/app.wasm", "tool.wasm", "link"] {
        let ran = dir.nexum(&["exec", package]);
        assert_eq!(ran.code, Some(9), "{package}: {}", ran.stderr);
    }
}

#[test]
fn passes_arguments_behind_the_packages_name() {
    let dir = Dir::new();
    let ran = dir.run_errand(&[], &["args", "--verbose", "", "ä b", "--", "--help"]);
    assert_eq!(
        printed(&ran),
        "[\"errand\", \"args\", \"--verbose\", \"\", \"ä b\", \"--\", \"--help\"]\n"
    );
    // The number of arguments, which is the first number in memory.
    let count = "(drop (call $args_sizes_get (i32.const 0) (i32.const 4))) (call $exit (i32.load (i32.const 0)))";
    dir.write("counts", preview_1("", count));
    assert_eq!(dir.nexum(&["exec", "counts", "--", "a", "b"]).code, Some(3));
}

#[test]
fn inherits_standard_streams() {
    let dir = Dir::new();
    let ran = dir.run_errand(&[], &["stdout-and-stderr"]);
    assert_eq!((printed(&ran), ran.stderr.as_str()), ("to stdout\n", "to stderr\n"));
    let hello = r#"(i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 6))
                   (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))"#;
    dir.write("hello", preview_1("hello\\0a", hello));
    assert_eq!(printed(&dir.nexum(&["exec", "hello"])), "hello\n");

    let mut child = dir.pipe_errand(&["stdin"]);
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(b"a line\n")
        .expect("a reader");
    let ran = Ran::new(child.wait_with_output().expect("an end"), dir.path());
    assert_eq!(printed(&ran), "Ok(\"a line\\n\")\n");
}

#[test]
fn has_the_variables_that_it_is_given_and_no_others() {
    let dir = Dir::new();
    let run = |options: &[&str]| {
        let output = dir.errand(options, &["env"]).env("SECRET", "of the host").output();
        Ran::new(output.expect("the binary"), dir.path())
    };
    assert_eq!(printed(&run(&[])), "[]\n");
    let ran = run(&["--env", "A=1", "--env", "B=x=y"]);
    assert_eq!(printed(&ran), "[(\"A\", \"1\"), (\"B\", \"x=y\")]\n");
    let count = "(drop (call $environ_sizes_get (i32.const 0) (i32.const 4))) (call $exit (i32.load (i32.const 0)))";
    dir.write("counts", preview_1("", count));
    assert_eq!(dir.nexum(&["exec", "counts"]).code, Some(0));
}

#[test]
fn is_ready_before_the_command_is_entered() {
    let dir = Dir::new();
    let mut child = dir.pipe_errand(&["stdin"]);
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    // The command is ready although it waits for its input.
    stdout.read_line(&mut line).expect("a line");
    assert_eq!(line, "READY\n");
    assert!(child.try_wait().expect("a child").is_none());
    drop(child.stdin.take());
    line.clear();
    stdout.read_line(&mut line).expect("a line");
    assert_eq!(
        (line.as_str(), child.wait().expect("an end").code()),
        ("Ok(\"\")\n", Some(0))
    );
}

#[test]
fn calls_weft_ready_of_a_module_before_it_is_ready() {
    let dir = Dir::new();
    let print = |address: u32| {
        format!(
            "(i32.store (i32.const 64) (i32.const {address})) (i32.store (i32.const 68) (i32.const 9))
             (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 72)))"
        )
    };
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (global $code (mut i32) (i32.const 1))
            (data (i32.const 0) "prepared\0astarted \0a")
            (func (export "weft_ready") (global.set $code (i32.const 7)) {})
            (func (export "_start") {} (call $exit (global.get $code))))"#,
        print(0),
        print(9)
    );
    dir.write("service", wat::parse_str(text).expect("a module"));
    let ran = dir.nexum(&["exec", "service"]);
    // Both functions run in one instance.
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (Some(7), "prepared\nREADY\nstarted \n", "")
    );
}

#[test]
fn systemd_is_told_that_the_command_is_ready() {
    let dir = Dir::new();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let output = dir.errand(&[], &["env"]).env("NOTIFY_SOCKET", &path).output();
    assert_eq!(printed(&Ran::new(output.expect("the binary"), dir.path())), "[]\n");
    let mut message = [0; 64];
    let length = socket.recv(&mut message).expect("a message");
    assert_eq!(message[..length].trim_ascii(), b"READY=1");

    // A refused command is never ready.
    let output = dir.command(&["exec", "absent"]).env("NOTIFY_SOCKET", &path).output();
    assert_eq!(output.expect("the binary").status.code(), Some(2));
    socket.set_nonblocking(true).expect("a mode");
    assert!(socket.recv(&mut message).is_err());
}

#[test]
fn a_systemd_that_is_gone_is_a_warning() {
    let dir = Dir::new();
    let output = dir
        .errand(&[], &["exit", "0"])
        .env("NOTIFY_SOCKET", dir.path().join("gone"))
        .output();
    let ran = Ran::new(output.expect("the binary"), dir.path());
    assert_eq!((ran.code, printed(&ran)), (Some(0), ""));
    assert!(ran.stderr.contains("warning: cannot tell systemd"), "{}", ran.stderr);
}
