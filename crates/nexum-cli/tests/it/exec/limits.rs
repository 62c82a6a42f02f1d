//! Limits that end a command.

use super::preview_1;
use crate::{Dir, Ran};

/// Checks that the command ended with this message, and with the visible part of its backtrace.
fn check(name: &str, ran: &Ran, message: &str, backtrace: Option<&str>) {
    assert_eq!(ran.code, Some(3), "{name}: {} {}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("READY\n"), "{name}: {}", ran.stdout);
    assert!(ran.stderr.contains(message), "{name}: {}", ran.stderr);
    let found = ran.stderr.split_once("\nbacktrace:\n").map(|(_, backtrace)| backtrace);
    match backtrace {
        Some(part) => assert!(
            found.is_some_and(|found| found.contains(part)),
            "{name}: {}",
            ran.stderr
        ),
        None => assert_eq!(found, None, "{name}"),
    }
}

#[test]
fn a_trap_has_a_message_and_a_backtrace() {
    let dir = Dir::new();
    let panicked = dir.run_errand(&[], &["panic"]);
    check(
        "panic",
        &panicked,
        "error: the command trapped: wasm trap: wasm `unreachable`",
        Some("errand::act"),
    );
    assert!(panicked.stderr.contains("as it was told"), "{}", panicked.stderr);
    for (name, start, message, backtrace) in [
        (
            "unreachable",
            "(call $inner)",
            "wasm `unreachable` instruction executed",
            "!inner",
        ),
        (
            "division",
            "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
            "integer divide by zero",
            "!main",
        ),
        (
            "memory",
            "(drop (i32.load (i32.const 65536)))",
            "out of bounds memory access",
            "!main",
        ),
        (
            "odd-code",
            "(call $exit (i32.const 200))",
            "exit with invalid exit status",
            "!main",
        ),
    ] {
        dir.write(name, preview_1("", start));
        check(name, &dir.nexum(&["exec", name]), message, Some(backtrace));
    }
    let endless = "(module (func $deep (call $deep)) (func (export \"_start\") (call $deep)))";
    dir.write("endless", wat::parse_str(endless).expect("a module"));
    check(
        "endless",
        &dir.nexum(&["exec", "endless"]),
        "call stack exhausted",
        Some("!deep"),
    );
}

#[test]
fn limits_end_a_command() {
    let dir = Dir::new();
    dir.write("spins", preview_1("", "(loop $again (br $again))"));
    let spins = |options: &[&str]| dir.nexum(&[&["exec"], options, &["spins"]].concat());
    let fuel = "error: the command exceeded its fuel limit of 1000000";
    check(
        "fuel",
        &dir.run_errand(&["--fuel", "1000000"], &["spin"]),
        fuel,
        Some("errand::act"),
    );
    check("fuel 1", &spins(&["--fuel", "1000000"]), fuel, Some("!main"));
    let deadline = "error: the command exceeded its deadline of 1 s";
    check(
        "spin",
        &dir.run_errand(&["--deadline", "1"], &["spin"]),
        deadline,
        Some("errand::act"),
    );
    check("spin 1", &spins(&["--deadline", "1"]), deadline, Some("!main"));
    check(
        "sleep",
        &dir.run_errand(&["--deadline", "1"], &["sleep", "1000"]),
        deadline,
        None,
    );
    let memory = dir.run_errand(&["--memory-mib", "16"], &["allocate", "64"]);
    let refused = "it exceeded the limit memory_bytes = 16777216 with ";
    check("memory", &memory, refused, Some("handle_alloc_error"));
}

#[test]
fn a_command_within_its_limits_is_not_ended() {
    let dir = Dir::new();
    let options = ["--fuel", "1000000000", "--deadline", "1000", "--memory-mib", "80"];
    let ran = dir.run_errand(&options, &["allocate", "64"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "READY\n67108864\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_command_may_get_over_a_refusal_of_memory() {
    let dir = Dir::new();
    let grow = "(drop (memory.grow (i32.const 10000))) (call $exit (i32.const 4))";
    dir.write("grows", preview_1("", grow));
    assert_eq!(dir.nexum(&["exec", "grows"]).code, Some(4));
}
