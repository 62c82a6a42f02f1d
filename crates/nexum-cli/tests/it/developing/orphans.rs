//! No process outlives `nexum dev`.

use std::fs::{File, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::{BLOCKS, BUILD, Dev, RUNS, dev, project};
use crate::processes::{below, gone, send};

#[tokio::test]
async fn a_signal_ends_all_processes() {
    for (signal, code) in [
        ("-TERM", Some(0)),
        ("-INT", Some(0)),
        ("-HUP", Some(0)),
        ("-KILL", None),
    ] {
        let dir = project("noop", BLOCKS);
        let mut dev = dev(&dir);
        dev.until(RUNS);
        let processes = below(dev.child.id());
        assert!(processes.iter().any(|process| process.is("anvil")), "{processes:#?}");
        assert!(
            processes
                .iter()
                .any(|process| process.argument(0) == Some("nexum") && process.argument(1) == Some("run")),
            "{processes:#?}"
        );
        send(signal, dev.child.id());
        assert_eq!(dev.child.wait().expect("an end").code(), code, "{signal}");
        for process in processes {
            gone(process.id).await;
        }
    }
}

#[tokio::test]
async fn a_signal_ends_a_build() {
    let dir = project("noop", BLOCKS);
    let mut dev = Dev::start(&dir, &["--build-with", "sleep 1000 & echo begun; wait"]);
    dev.until("begun");
    let processes = below(dev.child.id());
    assert_eq!(processes.len(), 2, "{processes:#?}");
    send("-TERM", dev.child.id());
    assert_eq!(dev.child.wait().expect("an end").code(), Some(0));
    for process in processes {
        gone(process.id).await;
    }
}

/// npm, and a process below it that ignores SIGTERM.
#[test]
fn a_signal_ends_the_fetch_of_anvil() {
    for signal in ["-TERM", "-INT", "-HUP"] {
        let dir = project("noop", BLOCKS);
        let pipe = dir.path().join("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(made.success());
        let npm = dir.write(
            "npm",
            format!(
                "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\nexec 3>'{}'\n\
                 (trap '' TERM; while :; do sleep 1; done) &\necho ready >&3\nwait\n",
                pipe.display()
            ),
        );
        std::fs::set_permissions(npm, Permissions::from_mode(0o755)).expect("a program");
        let mut dev = Dev::start_with(&dir, &["--build-with", BUILD], |command| {
            command
                .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))
                .env("NEXUM_CACHE_DIR", dir.path().join("cache"))
                .env_remove("NEXUM_ANVIL");
        });
        let mut open = File::open(&pipe).expect("the pipe, when npm opens it");
        let mut ready = [0; 6];
        open.read_exact(&mut ready).expect("npm runs");
        send(signal, dev.child.id());
        let mut rest = Vec::new();
        open.read_to_end(&mut rest)
            .expect("the end of the pipe, when no process has it");
        assert_eq!(dev.child.wait().expect("an end").code(), Some(0), "{signal}");
    }
}
