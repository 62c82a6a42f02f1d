//! `nexum check` and `nexum inspect` with the files of commands.

use nexum_testing::guests;

use super::{preview_1, preview_2};
use crate::Dir;

#[test]
fn checks_commands_without_running_them() {
    let dir = Dir::new();
    dir.write("tool.wasm", preview_1("", "(unreachable)"));
    dir.write("component.wasm", preview_2(1));
    let ran = dir.nexum(&["check", "tool.wasm", "component.wasm"]);
    // Without modules, nexum reads no engine.toml.
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    for part in [
        "command (core module, WASI preview 1)",
        "command (component, WASI preview 2)",
        "wasi_snapshot_preview1::fd_write",
        "wasi:cli/run@0.2.0",
        "1 of 65536 bytes at the start",
        "2 commands can run, 0 errors, by nexum",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }

    dir.guest("noop");
    std::fs::copy(
        guests::command("errand").join("app.wasm"),
        dir.path().join("errand.wasm"),
    )
    .expect("a copy");
    let ran = dir.nexum(&["check", "noop.wasm", "errand.wasm"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout
            .contains("1 module and 1 command can run, 0 errors, by nexum"),
        "{}",
        ran.stdout
    );
    let json = dir.nexum(&["check", "--format", "json", "noop.wasm", "tool.wasm"]);
    let found: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(
        (&found["modules"][0]["name"], &found["commands"][0]["path"]),
        (&"noop".into(), &"tool.wasm".into())
    );
    assert_eq!(found["commands"][0]["exports"], serde_json::json!(["memory", "_start"]));
}

#[test]
fn check_finds_everything_for_which_exec_refuses_a_command() {
    let dir = Dir::new();
    let wat = |text: &str| wat::parse_str(text).expect("a module");
    dir.write(
        "several.wasm",
        wat(
            "(module (import \"env\" \"f\" (func)) (import \"env\" \"memory\" (memory 1 1 shared)) (memory 4097)
             (func (export \"_start\")))",
        ),
    );
    dir.write(
        "odd-type.wasm",
        wat("(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func)) (func (export \"_start\")))"),
    );
    dir.write(
        "odd-ready.wasm",
        wat("(module (func (export \"weft_ready\") (param i32)) (func (export \"_start\")))"),
    );
    dir.write(
        "http.wasm",
        wat("(component
                (import \"wasi:http/types@0.2.0\" (instance))
                (import \"wasi:cli/stdin@0.2.10\" (instance))
                (import \"nexum:host/chain@0.2.0\" (instance))
                (instance $i) (export \"wasi:cli/run@0.2.10\" (instance $i)))"),
    );
    let files = ["several.wasm", "odd-type.wasm", "odd-ready.wasm", "http.wasm"];
    let ran = dir.nexum(&[&["check"], files.as_slice()].concat());
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    assert!(ran.stdout.contains("0 commands can run, 6 errors"), "{}", ran.stdout);
    insta::assert_snapshot!(ran.stderr, @r"
    error: several.wasm has shared memory, but a command runs in one thread
      hint: build the command without threads, for example for wasm32-wasip1
    error: several.wasm imports env::f, env::memory, which commands do not have
      hint: a command can import WASI 0.2 or preview 1, and nothing else
    error: several.wasm needs 268500992 of memory_bytes at its start, and the limit is 268435456
    error: odd-type.wasm does not fit the interfaces of commands: incompatible import type for `wasi_snapshot_preview1::fd_write`: types incompatible: expected type `(func)`, found type `(func (param i32 i32 i32 i32) (result i32))`
    error: odd-ready.wasm exports weft_ready, but not as a function without parameters and results
    error: http.wasm imports wasi:http/types@0.2.0, nexum:host/chain@0.2.0, which commands do not have
      hint: a command can import WASI 0.2 or preview 1, and nothing else
    ");
    for file in files {
        let exec = dir.nexum(&["exec", file]);
        assert_eq!((exec.code, exec.stdout.as_str()), (Some(2), ""), "{file}");
        let first = exec.stderr.lines().next().expect("an error");
        assert!(ran.stderr.contains(first), "{file}: {first}");
    }
}

#[test]
fn inspect_shows_what_is_in_a_command() {
    let dir = Dir::new();
    dir.write(
        "tool.wasm",
        wat::parse_str(
            "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32)))
                (memory (export \"memory\") 2 3 shared) (func (export \"_start\")))",
        )
        .expect("a module"),
    );
    let ran = dir.nexum(&["inspect", "tool.wasm"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    insta::with_settings!({filters => vec![(r"sha256:[0-9a-f]{64}", "sha256:<digest>")]}, {
        insta::assert_snapshot!(ran.stdout, @r"
        file             tool.wasm
        kind             command (core module, WASI preview 1)
        size             93 bytes
        digest           sha256:<digest>
        world            none of the contract
        imports          wasi_snapshot_preview1::proc_exit
        exports          memory
                         _start
        core instances   1
        memories         1 of 131072 bytes at the start, shared
        custom sections  -
        ");
    });
    dir.write("component.wasm", preview_2(0));
    let json = dir.nexum(&["inspect", "--format", "json", "component.wasm"]);
    let found: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(
        (&found["kind"], &found["exports"], &found["shared_memory"]),
        (
            &"command (component, WASI preview 2)".into(),
            &serde_json::json!(["wasi:cli/run@0.2.0"]),
            &false.into()
        )
    );
    // A core module without the export of a command is no command.
    dir.write("library.wasm", wat::parse_str("(module)").expect("a module"));
    let ran = dir.nexum(&["inspect", "library.wasm"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("library.wasm is a core module, not a component"),
        "{}",
        ran.stderr
    );
}
