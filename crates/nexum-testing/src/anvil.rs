//! A real local node.

mod emitter;

use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::{Address, B256};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::{LogSpec, TEST_CHAIN_ID, WAIT_MAX};

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
    /// The file that the chain is read from at the start, if it exists, and written to by [`Anvil::stop`]. Without one each
    /// start begins a new chain.
    pub state: Option<PathBuf>,
    /// More arguments for the command line.
    pub extra_args: Vec<String>,
}

/// A running `anvil`, taken from `NEXUM_ANVIL`, else from `PATH`. It is killed when this is dropped.
#[derive(Debug)]
pub struct Anvil {
    child: Child,
    port: u16,
    options: AnvilOptions,
    client: reqwest::Client,
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
        let (child, port) = spawn(options);
        Self {
            child,
            port,
            options: AnvilOptions {
                port: Some(port),
                ..options.clone()
            },
            client: client(),
            reorgs: AtomicU64::new(0),
        }
    }

    /// Kills it, as a crash does: connections break, its port refuses, and nothing more is written.
    pub fn kill(&mut self) {
        // A child that is gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends it in good order: it writes its chain to [`AnvilOptions::state`] first.
    ///
    /// # Panics
    ///
    /// When it cannot be told to.
    pub fn stop(&mut self) {
        if self.child.try_wait().is_ok_and(|exit| exit.is_none()) {
            // The standard library can only kill.
            let terminate = format!("kill -TERM {}", self.child.id());
            let told = Command::new("sh").args(["-c", &terminate]).status();
            assert!(told.is_ok_and(|status| status.success()), "cannot stop anvil");
        }
        let _ = self.child.wait();
    }

    /// Starts it again on the same port, after [`kill`](Self::kill) or [`stop`](Self::stop). With [`AnvilOptions::state`] it
    /// has the chain that it had when it was last stopped, else a new one.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        (self.child, self.port) = spawn(&self.options);
        // The old one may hold connections to the process that is gone.
        self.client = client();
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
        let response = self
            .client
            .post(self.http_url())
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

    /// Deploys a contract that emits what [`emit`](Self::emit) tells it, and returns its address.
    ///
    /// # Panics
    ///
    /// As [`request`](Self::request), and when the transaction is not mined within [`WAIT_MAX`].
    pub async fn deploy_emitter(&self) -> Address {
        let receipt = self.transact(json!({ "data": emitter::creation_code() })).await;
        Address::deserialize(&receipt["contractAddress"]).expect("the address of a new contract")
    }

    /// Has an emitter emit these logs, all by one transaction, and returns the transaction's hash once it is mined.
    ///
    /// # Panics
    ///
    /// When the logs are not all of one address, that of a [deployed](Self::deploy_emitter) emitter, or one has more than four
    /// topics, and as [`deploy_emitter`](Self::deploy_emitter).
    pub async fn emit(&self, logs: &[LogSpec]) -> B256 {
        let emitter = logs.first().expect("a log").address;
        assert!(
            logs.iter().all(|log| log.address == emitter && log.topics.len() <= 4),
            "logs that no one emitter can emit"
        );
        let receipt = self
            .transact(json!({ "to": emitter, "data": emitter::input(logs) }))
            .await;
        let emitted = receipt["logs"].as_array().map_or(0, Vec::len);
        assert_eq!(emitted, logs.len(), "what is at {emitter} is not an emitter");
        B256::deserialize(&receipt["transactionHash"]).expect("a hash")
    }

    /// Sends a transaction of the first account, and returns its receipt.
    async fn transact(&self, mut transaction: Value) -> Value {
        transaction["from"] = self.request("eth_accounts", json!([])).await[0].take();
        let hash = self.request("eth_sendTransaction", json!([transaction])).await;
        // It can be missing for a moment after the block is there.
        let mined = async {
            loop {
                let receipt = self.request("eth_getTransactionReceipt", json!([hash])).await;
                if !receipt.is_null() {
                    return receipt;
                }
            }
        };
        let receipt = tokio::time::timeout(WAIT_MAX, mined)
            .await
            .expect("a mined transaction");
        assert_eq!(receipt["status"], "0x1", "the transaction {hash} failed");
        receipt
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a process and waits until it listens; returns the port as well.
fn spawn(options: &AnvilOptions) -> (Child, u16) {
    let binary = binary();
    let mut command = Command::new(&binary);
    command.args(["--host", "127.0.0.1", "--chain-id", &TEST_CHAIN_ID.to_string()]);
    command.args(["--port", &options.port.unwrap_or(0).to_string()]);
    if let Some(path) = &options.ipc_path {
        command.arg("--ipc").arg(path);
    }
    if let Some(path) = &options.state {
        // Without the states of old blocks it could be read at none of them, nor reorganised.
        command.arg("--state").arg(path).arg("--preserve-historical-states");
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
    silence(port).expect("anvil answers");
    // What it still prints would make it stand still once the pipe is full. Ends when the child does.
    std::thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
    (child, port)
}

/// Has it no longer print every request, which takes as long as answering a small one. Told to be quiet from the start, it
/// would not print where it listens either.
fn silence(port: u16) -> io::Result<()> {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"anvil_setLoggingEnabled","params":[false]}"#;
    let length = body.len();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    write!(
        stream,
        "POST / HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    io::copy(&mut stream, &mut io::sink())?;
    Ok(())
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
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
