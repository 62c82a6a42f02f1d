//! Commands that nexum refuses to start.

use std::fs::File;
use std::process::Command;

use nexum_testing::guests;

use super::{preview_1, preview_2};
use crate::Dir;

/// Checks that nexum refuses the command with a message that contains `expected`, and does nothing
/// else.
fn check(dir: &Dir, args: &[&str], expected: &str) {
    let ran = dir.nexum(&[&["exec"], args].concat());
    assert_eq!(ran.code, Some(2), "{args:?}: {} {}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "", "{args:?}");
    assert!(ran.stderr.contains(expected), "{args:?}: {}", ran.stderr);
}

#[test]
fn refuses_files_that_are_no_commands() {
    let dir = Dir::new();
    let wat = |text: &str| wat::parse_str(text).expect("a module");
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() / 2);
        bytes
    };
    for (name, bytes, expected) in [
        ("empty", Vec::new(), "empty is not WebAssembly"),
        ("text", b"#!/bin/sh\n".to_vec(), "text is not WebAssembly"),
        (
            "cut-module",
            cut(preview_1("", "")),
            "cut-module is not a valid core module",
        ),
        (
            "cut-component",
            cut(preview_2(0)),
            "cut-component is not a valid component",
        ),
        (
            "library",
            wat("(module (func (export \"f\")))"),
            "library is not a command: it does not export _start",
        ),
        (
            "odd-start",
            wat("(module (func (export \"_start\") (param i32)))"),
            "it does not export _start",
        ),
        (
            "no-function",
            wat("(module (memory (export \"_start\") 1))"),
            "it does not export _start",
        ),
        (
            "no-run",
            wat("(component)"),
            "no-run is not a command: it does not export wasi:cli/run@0.2",
        ),
        (
            "module",
            std::fs::read(guests::component("noop")).expect("a guest"),
            "module is not a command: it does not export wasi:cli/run@0.2",
        ),
        (
            "odd-import",
            wat("(module (import \"env\" \"f\" (func)) (func (export \"_start\")))"),
            "odd-import imports env::f, which commands do not have",
        ),
        (
            "unknown-function",
            wat("(module (import \"wasi_snapshot_preview1\" \"f\" (func)) (func (export \"_start\")))"),
            "unknown-function does not fit the interfaces of commands: unknown import: `wasi_snapshot_preview1::f`",
        ),
        (
            "shared",
            wat("(module (memory 1 1 shared) (func (export \"_start\")))"),
            "shared has shared memory, but a command runs in one thread",
        ),
        (
            "imports-shared",
            wat("(module (import \"env\" \"memory\" (memory 1 1 shared)) (func (export \"_start\")))"),
            "imports-shared has shared memory, but a command runs in one thread",
        ),
        (
            "shared-component",
            wat(
                "(component (core module (memory 1 1 shared)) (instance $i) (export \"wasi:cli/run@0.2.0\" (instance $i)))",
            ),
            "shared-component has shared memory, but a command runs in one thread",
        ),
        (
            "odd-ready",
            wat("(module (func (export \"weft_ready\") (result i32) (i32.const 0)) (func (export \"_start\")))"),
            "odd-ready exports weft_ready, but not as a function without parameters and results",
        ),
        (
            "odd-run",
            wat("(component (instance $i) (export \"wasi:cli/run@0.2.0\" (instance $i)))"),
            "odd-run",
        ),
        (
            "large",
            wat("(module (memory 4097) (func (export \"_start\")))"),
            "large needs 268500992 of memory_bytes at its start, and the limit is 268435456",
        ),
    ] {
        dir.write(name, bytes);
        check(&dir, &[name], expected);
    }
}

/// A module whose `weft_ready` has this code.
fn prepares(code: &str) -> Vec<u8> {
    let text = format!(
        "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
            (memory (export \"memory\") 1)
            (func $prepare (export \"weft_ready\") {code})
            (func (export \"_start\")))"
    );
    wat::parse_str(text).expect("a module")
}

#[test]
fn refuses_a_command_whose_weft_ready_fails() {
    let dir = Dir::new();
    let spin = "(loop $again (br $again))";
    for (code, options, expected) in [
        ("(unreachable)", &[][..], "the command trapped: wasm trap"),
        ("(call $exit (i32.const 0))", &[], "the command exited with code 0\n"),
        (
            spin,
            &["--fuel", "100000"],
            "the command exceeded its fuel limit of 100000\n",
        ),
        (spin, &["--deadline", "1"], "the command exceeded its deadline of 1 s\n"),
    ] {
        dir.write("service", prepares(code));
        let expected = format!("weft_ready of service failed: {expected}");
        check(&dir, &[options, &["service"]].concat(), &expected);
    }
    dir.write("service", prepares("(unreachable)"));
    check(&dir, &["service"], "!prepare");
}

#[test]
fn refuses_what_is_no_file() {
    let dir = Dir::new();
    check(&dir, &["absent"], "cannot read absent: No such file or directory");
    std::fs::create_dir_all(dir.path().join("package")).expect("a directory");
    check(&dir, &["package"], "cannot read package/app.wasm: No such file");
    std::fs::create_dir_all(dir.path().join("nested/app.wasm")).expect("a directory");
    check(&dir, &["nested"], "nested/app.wasm is not a regular file");
    let made = Command::new("mkfifo")
        .arg(dir.path().join("pipe"))
        .status()
        .expect("mkfifo");
    assert!(made.success());
    check(&dir, &["pipe"], "pipe is not a regular file");
    let huge = File::create(dir.path().join("huge")).expect("a file");
    huge.set_len(64 * 1024 * 1024 + 1).expect("a sparse file");
    check(&dir, &["huge"], "huge is larger than 67108864 bytes");
}

#[test]
fn refuses_options_that_make_no_sense() {
    let dir = Dir::new();
    dir.write("tool", preview_2(0));
    for (options, expected) in [
        (&["--dir", "/srv"][..], "--dir /srv: expected HOST::GUEST"),
        (
            &["--dir", "absent::/data"],
            "cannot open the directory absent: No such file",
        ),
        (
            &["--dir", "tool::/data"],
            "cannot open the directory tool: Not a directory",
        ),
        (
            &["--dir", ".::/a", "--dir", "..::/a:ro"],
            "two directories have the path /a in the command",
        ),
        (
            &["--allow-net", "example.com"],
            "--allow-net example.com: expected HOST:PORT",
        ),
        (
            &["--allow-net", "*:80"],
            "--allow-net *:80: expected as the host a name",
        ),
        (
            &["--allow-net", "does-not-exist.invalid:80"],
            "cannot resolve does-not-exist.invalid",
        ),
        (&["--env", "NAME"], "--env: a variable is given as NAME=VALUE"),
        (&["--env", "=VALUE"], "--env: a variable is given as NAME=VALUE"),
        (&["--fuel", "0"], "invalid value '0' for '--fuel"),
        (&["--memory-mib", "0"], "invalid value '0' for '--memory-mib"),
        (&["--memory-mib", "65537"], "invalid value '65537' for '--memory-mib"),
        (&["--deadline", "0"], "invalid value '0' for '--deadline"),
        (&["--deadline", "soon"], "invalid value 'soon' for '--deadline"),
    ] {
        check(&dir, &[options, &["tool"]].concat(), expected);
    }
    // Options of the command must follow `--`.
    check(&dir, &["tool", "argument"], "unexpected argument 'argument'");
}

#[test]
fn a_refusal_says_what_may_help() {
    let dir = Dir::new();
    dir.write("library", wat::parse_str("(module)").expect("a module"));
    check(&dir, &["library"], "hint: build a command, not a library");
    let component = "(component (import \"nexum:host/chain@0.2.0\" (instance (export \"f\" (func)))))";
    dir.write("chain", wat::parse_str(component).expect("a component"));
    check(&dir, &["chain"], "it does not export wasi:cli/run@0.2");
}
