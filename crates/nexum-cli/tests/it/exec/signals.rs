//! Signals from a shell or systemd to a command.

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use crate::Dir;

#[test]
fn signals_end_a_command_wherever_it_is() {
    let dir = Dir::new();
    for (args, name, code) in [
        (&["spin"][..], "TERM", 143),
        (&["spin"], "INT", 130),
        (&["sleep", "1000"], "TERM", 143),
        (&["stdin"], "INT", 130),
        // The test soon stops reading its output, so the command blocks in a write.
        (&["print-for-ever"], "TERM", 143),
    ] {
        let mut child = dir.pipe_errand(args);
        // The test holds the pipe: waiting for the child closes the child's own stdin handle, and a
        // command that reads would end by itself.
        let _stdin = child.stdin.take();
        let mut ready = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        stdout.read_line(&mut ready).expect("a line");
        assert_eq!(ready, "READY\n");
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &child.id().to_string()])
            .status();
        assert!(sent.expect("kill").success());
        assert_eq!(child.wait().expect("an end").code(), Some(code), "{args:?} {name}");
    }
}
