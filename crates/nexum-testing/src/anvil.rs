//! A real local node.

use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::TEST_CHAIN_ID;

/// The environment variable that names the `anvil` binary to run.
const BINARY_VARIABLE: &str = "NEXUM_ANVIL";

/// How many lines `anvil` may print before the one that says where it listens: its banner has about fifty.
const BANNER_LINES_MAX: usize = 1_000;

/// How to start an [`Anvil`]. The default is a chain with the id [`TEST_CHAIN_ID`], a free port, a block for each
/// transaction, and no ipc.
#[derive(Clone, Debug, Default)]
pub struct AnvilOptions {
    /// The port to listen on; `None` takes a free one.
    pub port: Option<u16>,
    /// Where to serve ipc, if it is to be served.
    pub ipc_path: Option<PathBuf>,
    /// More arguments for the command line.
    pub extra_args: Vec<String>,
}

/// A running `anvil`, taken from `NEXUM_ANVIL`, else from `PATH`. It is killed when this is dropped.
#[derive(Debug)]
pub struct Anvil {
    child: Child,
    port: u16,
    reorgs: AtomicU64,
}

impl Anvil {
    /// Starts one with the default [`AnvilOptions`] and waits until it listens.
    ///
    /// # Panics
    ///
    /// When there is no `anvil`, or it does not start.
    pub fn start() -> Self {
        Self::start_with(&AnvilOptions::default())
    }

    /// Starts one and waits until it listens.
    ///
    /// # Panics
    ///
    /// When there is no `anvil`, or it does not start.
    pub fn start_with(options: &AnvilOptions) -> Self {
        let binary = binary();
        let mut command = Command::new(&binary);
        command.args(["--host", "127.0.0.1", "--chain-id", &TEST_CHAIN_ID.to_string()]);
        command.args(["--port", &options.port.unwrap_or(0).to_string()]);
        if let Some(path) = &options.ipc_path {
            command.arg("--ipc").arg(path);
        }
        command
            .args(&options.extra_args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "cannot run `{}`: {error}\nhint: `cargo xtask test` fetches anvil; or name it in {BINARY_VARIABLE}",
                binary.display()
            )
        });
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let Some(port) = listening_port(&mut stdout) else {
            let _ = child.kill();
            panic!("`{}` ended without listening: {:?}", binary.display(), child.wait());
        };
        // It prints every request, and would stand still once the pipe is full. Ends when the child does.
        std::thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
        Self {
            child,
            port,
            reorgs: AtomicU64::new(0),
        }
    }

    /// The port that it listens on, for starting another one in its place.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its JSON-RPC endpoint over http.
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its JSON-RPC endpoint over ws.
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Sends one request and returns the `result` of its answer.
    ///
    /// # Panics
    ///
    /// When the node cannot be reached or answers with an error.
    pub async fn request(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let request = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client")
            .post(self.http_url());
        let response = request
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await;
        let body = response
            .expect("anvil is reachable")
            .bytes()
            .await
            .expect("a whole answer");
        let mut answer: Value = serde_json::from_slice(&body).expect("a JSON answer");
        match answer.get_mut("result") {
            Some(result) => result.take(),
            None => panic!("{method}: {answer}"),
        }
    }

    /// Mines `blocks` blocks.
    ///
    /// # Panics
    ///
    /// As [`request`](Self::request).
    pub async fn mine(&self, blocks: u64) {
        self.request("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    /// Replaces the newest `depth` blocks by as many others. The first of these holds a transfer, because empty blocks can come
    /// out with the hashes of those that they replace.
    ///
    /// # Panics
    ///
    /// As [`request`](Self::request).
    pub async fn reorg(&self, depth: u64) {
        let value = format!("{:#x}", self.reorgs.fetch_add(1, Ordering::Relaxed) + 1);
        let accounts = self.request("eth_accounts", json!([])).await;
        let transfer = json!({ "from": accounts[0], "to": accounts[1], "value": value });
        self.request("anvil_reorg", json!([depth, [[transfer, 0]]])).await;
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // A child that is gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> PathBuf {
    std::env::var_os(BINARY_VARIABLE).map_or_else(|| PathBuf::from("anvil"), PathBuf::from)
}

/// Reads the banner up to the line `Listening on HOST:PORT`.
fn listening_port(stdout: &mut BufReader<ChildStdout>) -> Option<u16> {
    let lines = stdout.lines().take(BANNER_LINES_MAX).map_while(Result::ok);
    let line = lines.into_iter().find(|line| line.starts_with("Listening on "))?;
    line.rsplit(':').next()?.trim().parse().ok()
}
