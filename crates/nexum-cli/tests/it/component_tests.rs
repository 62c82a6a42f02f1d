//! `nexum test`: native tests, and the component in the runtime.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::developing::{BLOCKS, BUILD, project};
use crate::processes::{below, gone, send};
use crate::running::Start as _;
use crate::{Dir, Ran};

fn test_component(dir: &Dir, more: &[&str]) -> Ran {
    dir.nexum(&[&["test", "--component", "--build-with", BUILD], more].concat())
}

#[test]
fn a_component_that_handles_its_events_passes() {
    let dir = project("noop", BLOCKS);
    let ran = test_component(&dir, &["--blocks", "2"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    for block in ["block 1 handled in ", "block 2 handled in "] {
        let line = ran.stdout.lines().find(|line| line.starts_with(block));
        assert!(line.is_some_and(|line| line.ends_with(" fuel")), "{}", ran.stdout);
    }
    assert!(ran.stdout.contains("without a failure"), "{}", ran.stdout);
    assert!(
        !dir.path().join("build/dev").exists(),
        "the state is outside of the project"
    );
}

#[test]
fn a_log_and_a_tick_reach_the_component() {
    let dir = project(
        "journal",
        "kind = \"log\"\nchain_id = 11155111\n\
         event_signature = \"0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef\"\n\
         [[subscription]]\nkind = \"cron\"\nschedule = \"* * * * * *\"\n",
    );
    let ran = test_component(&dir, &[]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let has = |kind: &str| {
        ran.stdout
            .lines()
            .any(|line| line.starts_with(kind) && line.contains(" handled in "))
    };
    assert!(has("logs ") && has("tick "), "{}", ran.stdout);
}

#[test]
fn a_component_that_fails_at_an_event_fails() {
    let dir = project("panic", BLOCKS);
    let ran = test_component(&dir, &[]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains("error: block 1 failed, attempt 1: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_component_whose_init_fails_fails() {
    let dir = project("bad-init", BLOCKS);
    let ran = test_component(&dir, &[]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("error: init failed, attempt 1: "), "{}", ran.stderr);
}

/// Adds a crate without dependencies, whose test has this body. Continuous integration builds all of
/// these crates in one directory, where only the version tells them apart.
fn with_native_test(dir: &Dir, body: &str) {
    static CRATES: AtomicU32 = AtomicU32::new(0);
    let version = format!("0.{}.{}", std::process::id(), CRATES.fetch_add(1, Ordering::Relaxed));
    dir.write(
        "Cargo.toml",
        format!(
            "[package]\nname = \"watch\"\nversion = {version:?}\nedition = \"2024\"\n[workspace]\n\
             [lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n"
        ),
    );
    dir.write("src/lib.rs", "");
    std::fs::create_dir(dir.path().join("tests")).expect("a directory");
    dir.write("tests/component.rs", format!("#[test]\nfn checks() {{ {body} }}\n"));
}

#[test]
fn native_tests_pass_and_fail() {
    let dir = project("noop", BLOCKS);
    with_native_test(&dir, "assert!(std::env::var_os(\"NEXUM_TEST_CONFIG\").is_none());");
    for args in [&["--nocapture", "checks"][..], &["--quiet", "--", "--nocapture"]] {
        let ran = dir.nexum(&[&["test", "--"], args].concat());
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("1 passed"), "{}", ran.stdout);
    }

    dir.write("tests/component.rs", "#[test]\nfn checks() { panic!() }\n");
    let ran = dir.nexum(&["test"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_native_test_asks_the_running_component() {
    let dir = project("journal", BLOCKS);
    with_native_test(
        &dir,
        "let of = |name| std::env::var(name).expect(name);
         assert!(of(\"NEXUM_TEST_RPC\").starts_with(\"http://127.0.0.1:\"));
         let mut nexum = std::process::Command::new(of(\"NEXUM_TEST_PROGRAM\"));
         nexum.args([\"state\", \"get\", \"watch\", \"0000000000\", \"--config\", &of(\"NEXUM_TEST_CONFIG\")]);
         let output = nexum.output().expect(\"nexum\");
         assert!(output.status.success(), \"{output:?}\");",
    );
    let ran = test_component(&dir, &[]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("1 passed"), "{}", ran.stdout);
}

/// cargo, the tests, a process below them that ignores signals, the daemon and anvil.
#[tokio::test]
async fn a_signal_leaves_no_process() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let dir = project("noop", BLOCKS);
        with_native_test(
            &dir,
            "let script = \"trap '' INT TERM HUP; echo begun; while :; do sleep 1; done\";
             std::process::Command::new(\"sh\").args([\"-c\", script]).status().unwrap();",
        );
        let mut command = dir.command(&["test", "--component", "--build-with", BUILD]);
        let mut child = command.stdout(Stdio::piped()).start();
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        assert!(lines.any(|line| line.expect("UTF-8") == "begun"), "{signal}");
        let processes = below(child.id());
        for program in ["anvil", "cargo", "component-", "sh"] {
            assert!(processes.iter().any(|process| process.is(program)), "{processes:#?}");
        }
        send(signal, child.id());
        assert_eq!(child.wait().expect("an end").code(), Some(code), "{signal}");
        for process in processes {
            gone(process.id).await;
        }
    }
}

#[test]
fn the_native_tests_of_each_language_run() {
    let dir = Dir::new();
    for (language, passed) in [("js", "pass 1"), ("python", "Ran 1 test")] {
        let made = dir.nexum(&["new", language, "--lang", language]);
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        let ran = dir.nexum(&["test", language]);
        assert_eq!(ran.code, Some(0), "{language}: {}{}", ran.stdout, ran.stderr);
        let output = ran.stdout + &ran.stderr;
        assert!(output.contains(passed), "{language}: {output}");
    }
}
