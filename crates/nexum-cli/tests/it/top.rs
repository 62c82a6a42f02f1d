//! `nexum top` in a pseudo terminal, which `script` of util-linux makes.

use std::io::{Read as _, Write as _};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;

use nexum_testing::{Node, TEST_CHAIN_ID};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::Dir;
use crate::metrics::{Exporting, PAUSE, WAIT_MAX, module};
use crate::running::{Start as _, Started};

/// The size of the terminal.
const COLUMNS: usize = 120;
const ROWS: usize = 30;

/// The sequences with which a program leaves the second screen, and shows the cursor.
const LEAVE_SCREEN: &str = "\u{1b}[?1049l";
const SHOW_CURSOR: &str = "\u{1b}[?25h";

/// `nexum top` in a terminal. The directory gets the settings of the terminal before and after, and the exit code.
struct Top {
    child: Started,
    keys: ChildStdin,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Top {
    fn start(dir: &Dir) -> Self {
        let binary = env!("CARGO_BIN_EXE_nexum");
        let inside = format!(
            "stty cols {COLUMNS} rows {ROWS}; stty -g > before; \
             sh -c 'echo $$ > id; exec {binary} top'; echo $? > code; stty -g > after"
        );
        let mut command = Command::new("script");
        command.args(["--quiet", "--flush", "--return", "--command", &inside, "/dev/null"]);
        command
            .current_dir(dir.path())
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh");
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.start();
        let keys = child.stdin.take().expect("the keyboard");
        let mut screen = child.stdout.take().expect("the screen");
        let output = Arc::new(Mutex::new(Vec::new()));
        let read = Arc::clone(&output);
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                read.lock().extend(&bytes[..length]);
            }
        });
        Self { child, keys, output }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal");
        self.keys.flush().expect("a terminal");
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output.lock()).into_owned()
    }

    async fn until(&self, what: &str) {
        let deadline = Instant::now() + WAIT_MAX;
        while !shown(&self.text()).contains(what) {
            assert!(Instant::now() < deadline, "{what} in {}", shown(&self.text()));
            sleep(PAUSE).await;
        }
    }

    /// Waits for the end. The terminal is as before.
    async fn end(mut self, dir: &Dir) {
        let deadline = Instant::now() + WAIT_MAX;
        while self.child.try_wait().expect("a child").is_none() {
            assert!(Instant::now() < deadline, "{}", shown(&self.text()));
            sleep(PAUSE).await;
        }
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect(name);
        assert_eq!((read("code").trim(), read("after")), ("0", read("before")));
        let text = self.text();
        assert!(text.contains(LEAVE_SCREEN) && text.contains(SHOW_CURSOR), "{text:?}");
    }
}

/// The screen of a terminal after this output: ratatui moves the cursor, and writes text.
fn shown(output: &str) -> String {
    let mut cells = vec![vec![' '; COLUMNS]; ROWS];
    let (mut row, mut column) = (0, 0);
    let mut parts = output.split('\u{1b}');
    parts.next();
    for part in parts {
        let Some(sequence) = part.strip_prefix('[') else {
            continue;
        };
        let Some(end) = sequence.find(|c: char| c.is_ascii_alphabetic()) else {
            continue;
        };
        let (arguments, rest) = sequence.split_at(end);
        if let ("H", Some((to_row, to_column))) = (&rest[..1], arguments.split_once(';')) {
            let number = |text: &str| text.parse::<usize>().expect("a position") - 1;
            (row, column) = (number(to_row), number(to_column));
        }
        for c in rest[1..].chars().filter(|c| !c.is_control()) {
            if let Some(cell) = cells.get_mut(row).and_then(|cells| cells.get_mut(column)) {
                *cell = c;
            }
            column += 1;
        }
    }
    let lines: Vec<String> = cells.into_iter().map(|cells| cells.into_iter().collect()).collect();
    lines.join("\n")
}

fn config(node: &Node) -> String {
    let url = node.http_url();
    let chain = format!("[chains.{TEST_CHAIN_ID}]\nrpc_url = {url:?}\npoll_interval_ms = 50\n");
    format!("{chain}{}", module("noop"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_shows_a_module_and_a_key_leaves() {
    let node = Node::start().await;
    let dir = Dir::new();
    let _running = Exporting::start(&dir, &config(&node));
    let mut top = Top::start(&dir);
    top.until("noop").await;
    top.until(&format!("chain {TEST_CHAIN_ID}")).await;
    top.press("\r");
    top.until("capabilities").await;
    top.press("?");
    top.until("show this help").await;
    top.press("q");
    top.end(&dir).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_leaves_the_terminal_as_it_was() {
    let node = Node::start().await;
    let dir = Dir::new();
    let _running = Exporting::start(&dir, &config(&node));
    let top = Top::start(&dir);
    top.until("noop").await;
    let id = std::fs::read_to_string(dir.path().join("id")).expect("an id");
    let sent = Command::new("kill").args(["-TERM", id.trim()]).status().expect("kill");
    assert!(sent.success());
    top.end(&dir).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_restarts_is_found_again() {
    let node = Node::start().await;
    let dir = Dir::new();
    let running = Exporting::start(&dir, &config(&node));
    let mut top = Top::start(&dir);
    top.until("noop").await;
    running.stop();
    top.until("The daemon has not answered for").await;
    let _running = Exporting::start(&dir, &config(&node));
    top.until("Connected again since").await;
    top.press("\u{3}");
    top.end(&dir).await;
}

#[test]
fn without_a_terminal_it_names_the_command_to_use() {
    let dir = Dir::new();
    dir.write("engine.toml", "");
    let refused = dir.nexum(&["top"]);
    assert_eq!(refused.code, Some(2));
    let expected = "error: `nexum top` needs a terminal, and this is none\n  \
                    hint: use `nexum status`, or `nexum status --watch`\n";
    assert_eq!(refused.stderr, expected);
}
