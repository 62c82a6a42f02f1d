//! Stdout and stderr that fail: a full disk, a closed pipe, a reader that stops reading.

use std::fs::{File, OpenOptions};
use std::process::Stdio;

use nexum_testing::{Anvil, guests};

use crate::Dir;
use crate::control::until;
use crate::running::{Start as _, Started, terminate};

const STATUS: [&str; 3] = ["status", "--format", "json"];

/// Takes no byte: "no space left on device".
fn full_disk() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("/dev/full")
}

/// A module that logs each block, on a chain with three blocks.
async fn prepared(level: &str) -> (Anvil, Dir) {
    let anvil = Anvil::start();
    anvil.mine(3).await;
    let dir = Dir::new();
    let path = guests::component("block-logger").display().to_string();
    dir.write(
        "engine.toml",
        format!(
            "[engine]\nlog_level = {level:?}\n[chains.11155111]\nrpc_url = {:?}\n[[modules]]\npath = {path:?}\n",
            anvil.ws_url()
        ),
    );
    (anvil, dir)
}

/// Waits until the module has handled three more blocks, then stops nexum, which must exit
/// normally.
async fn works_and_stops(anvil: &Anvil, dir: &Dir, mut child: Started) {
    anvil.mine(3).await;
    let socket = dir.path().join("data/nexum.sock");
    while !socket.exists() {
        assert_eq!(child.try_wait().expect("a child"), None, "nexum runs");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    until(dir, &STATUS, |modules| modules[0]["handled"].as_u64() >= Some(1)).await;
    let before = until(dir, &STATUS, |_| true).await[0]["handled"]
        .as_u64()
        .expect("a number");
    anvil.mine(3).await;
    until(dir, &STATUS, |modules| {
        modules[0]["handled"].as_u64() >= Some(before + 3)
    })
    .await;
    terminate(&child);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[tokio::test]
async fn a_full_disk_below_the_log_and_the_output_ends_nothing() {
    let (anvil, dir) = prepared("debug").await;
    let mut run = dir.command(&["run"]);
    let child = run.stdout(full_disk()).stderr(full_disk()).start();
    works_and_stops(&anvil, &dir, child).await;
}

#[tokio::test]
async fn a_closed_pipe_behind_the_log_and_the_output_ends_nothing() {
    let (anvil, dir) = prepared("debug").await;
    let mut run = dir.command(&["run"]);
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).start();
    drop((child.stdout.take(), child.stderr.take()));
    works_and_stops(&anvil, &dir, child).await;
}

#[tokio::test]
async fn a_reader_that_stops_reading_the_log_blocks_nothing_and_lost_lines_are_counted() {
    let (anvil, dir) = prepared("trace").await;
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let config = std::fs::read_to_string(dir.path().join("engine.toml")).expect("the configuration");
    dir.write("engine.toml", format!("{config}[metrics]\nlisten = \"{port}\"\n"));
    let mut run = dir.command(&["run"]);
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).start();
    let unread = (child.stdout.take(), child.stderr.take());
    // The pipe takes 64 KiB and the queue 4,096 lines; each block adds some hundred at this level.
    loop {
        anvil.mine(10).await;
        assert_eq!(child.try_wait().expect("a child"), None, "nexum runs");
        let Ok(text) = metrics(port).await else {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        };
        let lost = text
            .lines()
            .find_map(|line| line.strip_prefix("nexum_log_lines_lost_total "));
        if lost.is_some_and(|lost| lost != "0") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    works_and_stops(&anvil, &dir, child).await;
    drop(unread);
}

async fn metrics(address: std::net::SocketAddr) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// Commands that write to stdout.
const COMMANDS: [&[&str]; 3] = [
    &["completions", "bash"],
    &["inspect", "noop.wasm"],
    &["check", "noop.wasm"],
];

#[test]
fn a_command_whose_reader_has_gone_ends_quietly() {
    let dir = Dir::new();
    for args in COMMANDS {
        dir.guest("noop");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ran = dir.command(args).stdout(writer).output().expect("the binary");
        let stderr = String::from_utf8(ran.stderr).expect("UTF-8");
        assert_eq!(ran.status.code(), Some(0), "{args:?}: {stderr}");
        assert!(
            !stderr.contains("panic") && !stderr.contains("error"),
            "{args:?}: {stderr}"
        );
    }
}

#[test]
fn a_command_whose_output_cannot_be_written_says_so() {
    let dir = Dir::new();
    for args in COMMANDS {
        dir.guest("noop");
        let ran = dir.command(args).stdout(full_disk()).output().expect("the binary");
        let stderr = String::from_utf8(ran.stderr).expect("UTF-8");
        assert_eq!(ran.status.code(), Some(1), "{args:?}: {stderr}");
        let said = "error: cannot write to stdout: No space left on device (os error 28)";
        assert!(stderr.contains(said), "{args:?}: {stderr}");
    }
}
