//! Commands that an embedder runs.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use nexum_exec::{Capture, Command, CommandError, CommandKind, Dir, Limits, LoadError, Reason, Stopped};
use nexum_testing::guests;

/// A preview 1 command with this code.
struct Package(tempfile::TempDir);

impl Package {
    fn new(start: &str) -> Self {
        let text = format!(
            "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
                (memory (export \"memory\") 1)
                (func $main (export \"_start\") {start}))"
        );
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("app.wasm"), wat::parse_str(text).expect("a module")).expect("a file");
        Self(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }
}

async fn run(start: &str, limits: Limits) -> Result<u8, Stopped> {
    let package = Package::new(start);
    let command = Command::new(package.path()).limits(limits);
    command.load().await.expect("a command").run().await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_with_the_exit_code() {
    let limits = Limits::default();
    assert_eq!(run("(call $exit (i32.const 5))", limits).await.expect("an end"), 5);
    assert_eq!(run("", limits).await.expect("an end"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_why_a_command_was_stopped() {
    let default = Limits::default();
    let spin = "(loop $again (br $again))";
    let fuel = NonZeroU64::new(10_000);
    let stopped = run(spin, Limits { fuel, ..default }).await.expect_err("no fuel");
    assert!(matches!(stopped.reason, Reason::Fuel { bound: 10_000 }), "{stopped}");
    let deadline = Some(Duration::from_millis(20));
    let stopped = run(spin, Limits { deadline, ..default }).await.expect_err("no time");
    assert!(
        matches!(stopped.reason, Reason::Deadline { bound } if Some(bound) == deadline),
        "{stopped}"
    );
    assert!(stopped.backtrace.expect("a backtrace").contains("!main"));
    let memory_bytes = 1 << 20;
    let grow = "(br_if 0 (i32.ne (memory.grow (i32.const 100)) (i32.const -1))) (unreachable)";
    let stopped = run(
        grow,
        Limits {
            memory_bytes,
            ..default
        },
    )
    .await
    .expect_err("no memory");
    let expected = "it exceeded the limit memory_bytes = 1048576 with 6619136";
    assert!(stopped.to_string().ends_with(expected), "{stopped}");
    let stopped = run("(unreachable)", default).await.expect_err("a trap");
    assert!(matches!(stopped.reason, Reason::Trap(_)), "{stopped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_before_every_check_has_passed() {
    let guest = guests::command("errand");
    let command = |args: [&str; 3]| Command::new(&guest).args(args.map(str::to_owned));
    let given = tempfile::tempdir().expect("a directory");
    let dir = |text: String| text.parse::<Dir>().expect("a directory");
    let data = dir(format!("{}::/data", given.path().display()));
    let absent = dir(format!("{}::/absent", given.path().join("absent").display()));
    let write = ["write", "/data/new", "x"];
    let refused = command(write)
        .dirs([data.clone(), absent])
        .load()
        .await
        .expect_err("no directory");
    assert!(matches!(refused, LoadError::Dir { .. }), "{refused}");
    let ready = command(write).dirs([data.clone()]).load().await.expect("a command");
    assert!(!given.path().join("new").exists());
    assert_eq!(ready.run().await.expect("an end"), 0);
    assert!(given.path().join("new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn weft_ready_and_start_share_the_limits() {
    let text = "(module
        (global $count (mut i32) (i32.const 0))
        (func $count (param $times i32)
            (loop $again
                (global.set $count (i32.add (global.get $count) (i32.const 1)))
                (br_if $again (i32.lt_u (global.get $count) (local.get $times)))))
        (func (export \"weft_ready\") (call $count (i32.const 1000)))
        (func (export \"_start\") (call $count (i32.const 2000))))";
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("app.wasm"), wat::parse_str(text).expect("a module")).expect("a file");
    let limits = |fuel| Limits {
        fuel: NonZeroU64::new(fuel),
        ..Limits::default()
    };
    let load = |fuel| Command::new(dir.path()).limits(limits(fuel)).load();
    assert_eq!(load(50_000).await.expect("a command").run().await.expect("an end"), 0);
    // Enough for weft_ready, but not for both.
    let ready = load(14_000).await.expect("a command");
    let stopped = ready.run().await.expect_err("no fuel");
    assert!(matches!(stopped.reason, Reason::Fuel { bound: 14_000 }), "{stopped}");
    let refused = load(1_000).await.expect_err("no fuel");
    assert!(
        matches!(&refused, LoadError::NotReady { stopped, .. } if matches!(stopped.reason, Reason::Fuel { bound: 1_000 })),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_runs_nothing_and_finds_every_fault() {
    let package = Package::new("(unreachable)");
    let file = Command::new(package.path()).check().await.expect("a command");
    assert_eq!(file.kind, CommandKind::CoreModule);
    assert_eq!(file.summary.imports, ["wasi_snapshot_preview1::proc_exit"]);
    let limits = Limits {
        memory_bytes: 1 << 10,
        ..Limits::default()
    };
    let text = "(module (memory 1 1 shared))";
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("app.wasm"), wat::parse_str(text).expect("a module")).expect("a file");
    let errors = Command::new(dir.path())
        .limits(limits)
        .check()
        .await
        .expect_err("faults");
    assert!(
        matches!(
            errors.as_slice(),
            [
                LoadError::Command(CommandError::NoEntry { .. }),
                LoadError::Command(CommandError::SharedMemory { .. }),
                LoadError::Needs {
                    needed: 65_536,
                    bound: 1_024,
                    ..
                },
            ]
        ),
        "{errors:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_what_commands_write_side_by_side() {
    let run = async |errand: &str| {
        let (stdout, stderr) = (Capture::new(1_024), Capture::new(1_024));
        let command = Command::new(guests::command("errand")).args([errand.to_owned()]);
        let command = command.stdout(stdout.clone()).stderr(stderr.clone());
        let code = command.load().await.expect("a command").run().await.ok();
        let text = |capture: Capture| String::from_utf8(capture.take()).expect("text");
        (code, text(stdout), text(stderr))
    };
    let (both, panicked) = tokio::join!(run("stdout-and-stderr"), run("panic"));
    assert_eq!(both, (Some(0), "to stdout\n".into(), "to stderr\n".into()));
    let (code, stdout, stderr) = panicked;
    assert_eq!((code, stdout.as_str()), (None, ""));
    assert!(stderr.contains("as it was told"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_what_a_preview_1_command_writes() {
    let text = "(module
        (import \"wasi_snapshot_preview1\" \"fd_write\"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export \"memory\") 1)
        (data (i32.const 0) \"\\10\\00\\00\\00\\06\\00\\00\\00\")
        (data (i32.const 16) \"hello\\n\")
        (func (export \"_start\")
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))";
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("app.wasm"), wat::parse_str(text).expect("a module")).expect("a file");
    let stdout = Capture::new(1_024);
    let command = Command::new(dir.path()).stdout(stdout.clone());
    assert_eq!(command.load().await.expect("a command").run().await.expect("an end"), 0);
    assert_eq!(stdout.take(), b"hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_ends_with_whoever_waits_for_it() {
    let package = Package::new("(loop $again (br $again))");
    let ready = Command::new(package.path()).load().await.expect("a command");
    let waited = tokio::time::timeout(Duration::from_millis(50), ready.run()).await;
    // A command that still ran would block the end of the test's runtime, so the test would never
    // finish.
    assert!(waited.is_err());
}
