//! A script of Node.js that uses a browser.

use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use crate::running::{Log, Start as _, Started};

/// The variables with the browser, and with the directory of the scripts' packages.
const CHROMIUM: &str = "NEXUM_CHROMIUM";
const PACKAGES: &str = "NEXUM_BROWSER_PACKAGES";

/// A running script. It prints a line for each thing that it has done, and waits for lines of the test.
pub(super) struct Script {
    child: Started,
    stdin: ChildStdin,
    log: Log,
    seen: Vec<String>,
}

impl Script {
    /// Starts the script `page/NAME`.
    pub(super) fn start(name: &str, url: &str, token: &str) -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let scripts = package.join("tests/it/page");
        // The screenshots stay, for a person who looks at them.
        let screenshots = package.join("../../target/page");
        std::fs::create_dir_all(&screenshots).expect("a directory");
        for variable in [CHROMIUM, PACKAGES] {
            let is_set = std::env::var_os(variable).is_some();
            assert!(
                is_set,
                "{variable} is not set: run `cargo xtask test`, or `env $(cargo xtask browser) cargo test`"
            );
        }
        let mut command = Command::new("node");
        command
            .arg(scripts.join(name))
            .env("PAGE_URL", url)
            .env("PAGE_TOKEN", token)
            .env("PAGE_SCREENSHOTS", screenshots)
            .stdin(Stdio::piped())
            .stdout(Stdio::inherit())
            .stderr(Stdio::piped());
        let mut child = command.start();
        let log = Log::of(&mut child);
        let stdin = child.stdin.take().expect("a pipe");
        Self {
            child,
            stdin,
            log,
            seen: Vec::new(),
        }
    }

    /// Waits until the script prints this line.
    pub(super) fn until(&mut self, line: &str) {
        self.seen.extend(self.log.until(|found| found == line));
        assert_eq!(self.seen.last().map(String::as_str), Some(line), "{:#?}", self.seen);
    }

    /// Sends a line to the script.
    pub(super) fn say(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").expect("the script reads");
    }

    /// Waits until the script ends, and expects that it found no fault.
    pub(super) fn finish(mut self) {
        self.seen.extend(self.log.until(|_| false));
        let status = self.child.wait().expect("an end");
        assert!(status.success(), "{}", self.seen.join("\n"));
    }
}
