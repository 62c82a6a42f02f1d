//! Traces over OTLP: a daemon on a real chain, and a collector that the test runs. The tests have several threads,
//! because a test that waits for a line of the log would block the collector.

mod collector;
mod faults;
mod nesting;

use std::process::Stdio;

use nexum_testing::{Anvil, guests};

use self::collector::Collector;
use crate::Dir;
use crate::running::{Log, RUNNING, Start as _, Started};

/// The record with the address of the metrics.
const METRICS_READABLE: &str = "metrics can be read";

/// The first event of a module on a new chain.
const FIRST: &str = "11155111:0:block";

/// A directory with a daemon on a chain of its own.
struct Site {
    dir: Dir,
    anvil: Anvil,
    child: Started,
    log: Log,
    /// The first lines of the log.
    lines: Vec<String>,
}

/// The part of a configuration with a module.
fn module(fixture: &str, config: &str) -> String {
    let path = guests::component(fixture).display().to_string();
    format!("[[modules]]\npath = {path:?}\nname = {fixture:?}\n[modules.config]\n{config}")
}

impl Site {
    /// Starts a daemon with this configuration, which lacks the chain, and with these variables. Waits until its
    /// modules follow the chain.
    fn start(config: &str, variables: &[(&str, &str)]) -> Self {
        let (dir, anvil) = (Dir::new(), Anvil::start());
        configure(&dir, &anvil, config);
        let mut command = dir.command(&["run"]);
        let command = command.envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).start();
        let log = Log::of(&mut child);
        let [follows, loaded] = RUNNING;
        let lines = log.until_all(&[follows, loaded, METRICS_READABLE]);
        Self {
            dir,
            anvil,
            child,
            log,
            lines,
        }
    }

    /// Starts a daemon that sends traces to this collector.
    fn tracing(config: &str, collector: &Collector) -> Self {
        Self::start(config, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())])
    }

    /// Changes the configuration of the running daemon.
    fn reload(&self, config: &str) {
        configure(&self.dir, &self.anvil, config);
        let ran = self.dir.nexum(&["reload"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }

    /// Mines a block, and returns the id of its event.
    async fn mine(&self) -> String {
        self.anvil.mine(1).await;
        let head = self.anvil.request("eth_blockNumber", serde_json::json!([])).await;
        let digits = head
            .as_str()
            .and_then(|head| head.strip_prefix("0x"))
            .expect("a number");
        let block = u64::from_str_radix(digits, 16).expect("a number");
        format!("11155111:{block}:block")
    }
}

fn configure(dir: &Dir, anvil: &Anvil, config: &str) {
    let metrics = "[metrics]\nlisten = \"127.0.0.1:0\"\n";
    let chain = format!("[chains.11155111]\nrpc_url = {:?}\n", anvil.ws_url());
    dir.write("engine.toml", format!("{metrics}{chain}{config}"));
}
