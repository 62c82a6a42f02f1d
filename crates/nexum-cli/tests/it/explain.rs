//! `nexum explain`: each answer, from a daemon on a real chain.

mod absence;
mod attempts;
mod crash;
mod servers;

use nexum_testing::{Anvil, guests};
use serde_json::Value;

use crate::Dir;
use crate::control::until;
use crate::running::{Log, RUNNING, Started, spawn};

/// A directory with a daemon on a chain of its own.
struct Site {
    dir: Dir,
    anvil: Anvil,
    child: Started,
    log: Log,
}

/// The part of a configuration with a module.
fn module(fixture: &str, name: &str, config: &[(&str, &str)]) -> String {
    let path = guests::component(fixture).display().to_string();
    let mut text = format!("[[modules]]\npath = {path:?}\nname = {name:?}\n[modules.config]\n");
    for (key, value) in config {
        text += &format!("{key} = {value:?}\n");
    }
    text
}

impl Site {
    /// Starts a daemon with this configuration, which has neither the chain nor `[engine.restart]`.
    fn start(config: &str) -> Self {
        Self::start_in(Dir::new(), config)
    }

    /// [`start`](Self::start) in a directory with modules.
    fn start_in(dir: Dir, config: &str) -> Self {
        let anvil = Anvil::start();
        configure(&dir, &anvil, config);
        let (child, log) = run(&dir);
        Self { dir, anvil, child, log }
    }

    /// Changes the configuration of the running daemon.
    fn reload(&self, config: &str) {
        configure(&self.dir, &self.anvil, config);
        let ran = self.dir.nexum(&["reload"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }

    /// Mines a block, and returns its number.
    async fn mine(&self) -> u64 {
        self.anvil.mine(1).await;
        self.head().await
    }

    async fn head(&self) -> u64 {
        let head = self.anvil.request("eth_blockNumber", serde_json::json!([])).await;
        let digits = head
            .as_str()
            .and_then(|head| head.strip_prefix("0x"))
            .expect("a number");
        u64::from_str_radix(digits, 16).expect("a number")
    }

    /// The explanation, once it holds.
    async fn until(&self, of: &str, holds: impl Fn(&Value) -> bool) -> Value {
        until(&self.dir, &["explain", of, "--format", "json"], holds).await
    }

    /// The explanation, once the newest handling has this outcome.
    async fn outcome(&self, of: &str, outcome: &str) -> Value {
        self.until(of, |answer| newest(answer)["outcome"] == outcome).await
    }

    /// The explanation as text.
    fn text(&self, of: &str) -> String {
        self.dir.nexum(&["explain", of]).stdout
    }
}

fn configure(dir: &Dir, anvil: &Anvil, config: &str) {
    let restart = "[engine.restart]\nattempts_max = 3\nbackoff_ms = 20\nmax_consecutive_failures = 100\n";
    let chain = format!("[chains.11155111]\nrpc_url = {:?}\n", anvil.ws_url());
    dir.write("engine.toml", format!("{restart}{chain}{config}"));
}

fn run(dir: &Dir) -> (Started, Log) {
    let mut child = spawn(dir, &["run"]);
    let log = Log::of(&mut child);
    log.until_all(&RUNNING);
    (child, log)
}

/// The newest handling of an explanation.
fn newest(answer: &Value) -> &Value {
    let handlings = answer["handlings"].as_array().expect("handlings");
    handlings.last().unwrap_or(&Value::Null)
}
