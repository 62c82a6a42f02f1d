//! The state's file cannot be written, as on a full disk, until it can.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use nexum_testing::{Anvil, guests};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

use crate::Dir;
use crate::control::until;
use crate::running::{Log, Start as _, terminate};

const STATUS: [&str; 3] = ["status", "--format", "json"];

/// Sets the size at which a process's files cannot be written, or the original one.
fn limit_files(child: &Child, bytes: Option<u64>) {
    let original = getrlimit(Resource::Fsize);
    let limit = Rlimit {
        current: bytes.or(original.current),
        maximum: original.maximum,
    };
    prlimit(Some(Pid::from_child(child)), Resource::Fsize, limit).expect("a limit");
}

/// The record of the first line with this text.
fn record(log: &Log, text: &str) -> Value {
    let lines = log.until(|line| line.contains(text));
    let record = lines.last().expect("a line");
    serde_json::from_str(record).unwrap_or_else(|error| panic!("{error} in {lines:#?}"))
}

#[tokio::test]
async fn a_full_disk_is_in_the_log_and_in_the_status_until_there_is_room() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    // The program of [notify] has the limit of the daemon, and can still write to a pipe.
    let pipe = dir.path().join("messages");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let messages = File::options().read(true).write(true).open(&pipe).expect("the pipe");
    let mut messages = BufReader::new(messages).lines();
    let mut message = |phase: &str| loop {
        let line = messages.next().expect("a line").expect("a message");
        let message: Value = serde_json::from_str(&line).expect("JSON");
        if message["kind"] == "store_failure" && message["phase"] == phase {
            break message;
        }
    };
    dir.write(
        "engine.toml",
        format!(
            "[engine]\nlog_format = \"json\"\nstate_dir = \"${{CARGO_PKG_NAME}}\"\n\
             [notify]\ncommand = [\"/bin/sh\", \"-c\", \"cat > {}\"]\n\
             [chains.11155111]\nrpc_url = {:?}\n[[modules]]\npath = {:?}\n",
            pipe.display(),
            anvil.ws_url(),
            guests::component("journal").display().to_string()
        ),
    );
    // A process that does not ignore SIGXFSZ ends at the first write beyond the limit.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" run", env!("CARGO_BIN_EXE_nexum")]);
    let command = command
        .current_dir(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.start();
    let log = Log::of(&mut child);
    record(&log, "following the chain");
    anvil.mine(1).await;
    let modules = until(&dir, &STATUS, |modules| modules[0]["handled"].as_u64() >= Some(1)).await;
    let handled = modules[0]["handled"].as_u64().expect("a number");

    limit_files(&child, Some(0));
    anvil.mine(1).await;
    let begun = record(&log, "the state store cannot be written");
    let shown = begun["path"].as_str().expect("a path");
    assert!(
        shown.starts_with('/') && shown.ends_with("/${CARGO_PKG_NAME}/state.redb"),
        "{shown}"
    );
    assert!(begun["free_bytes"].is_u64(), "{begun}");
    assert_eq!(
        (&begun["level"], &begun["seconds"], &begun["attempts"]),
        (&"ERROR".into(), &0.into(), &1.into())
    );
    let cause = begun["error"].as_str().expect("an error");
    assert!(cause.contains("File too large"), "{cause}");
    let modules = until(&dir, &STATUS, |modules| modules[0]["stage"] == "stalled").await;
    let reason = modules[0]["reason"].as_str().expect("a reason");
    // The commit failed, or after it a read: redb opens its file again, and writes to it then.
    assert!(reason.contains("the state store failed: "), "{reason}");
    assert!(modules[0]["reason_since_ms"].is_u64(), "{modules}");

    let began = message("began");
    assert!(began["text"].to_string().contains("the state store"), "{began}");
    assert!(began["hint"].to_string().contains("nexum "), "{began}");
    limit_files(&child, None);
    let ended = record(&log, "the state store can be written again");
    assert_eq!((&ended["level"], &ended["path"]), (&"INFO".into(), &begun["path"]));
    assert!(ended["attempts"].as_u64() >= Some(1), "{ended}");
    let modules = until(&dir, &STATUS, |modules| {
        modules[0]["handled"].as_u64() > Some(handled) && modules[0]["stage"] == "running"
    })
    .await;
    assert_eq!(modules[0]["reason"], "the module handles events as they arrive");
    message("ended");
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}
