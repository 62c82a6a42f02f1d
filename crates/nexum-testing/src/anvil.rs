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

/// The environment variable with the path of the `anvil` binary.
const BINARY_VARIABLE: &str = "NEXUM_ANVIL";

/// The most lines before the line with `anvil`'s address. Its banner has about fifty.
const BANNER_LINES_MAX: usize = 1_000;

/// The options of an [`Anvil`]. The default is a chain with the id [`TEST_CHAIN_ID`], a free port,
/// one block per transaction, and no IPC.
#[derive(Clone, Debug, Default)]
pub struct AnvilOptions {
    /// The port to listen on; `None` takes a free one.
    pub port: Option<u16>,
    /// The path of the IPC socket; `None` for no IPC.
    pub ipc_path: Option<PathBuf>,
    /// The file with the chain's state. A start reads it if it exists, and [`Anvil::stop`] writes
    /// it. Without a file, each start creates a new chain.
    pub state: Option<PathBuf>,
    /// The chain id; `None` for [`TEST_CHAIN_ID`].
    pub chain_id: Option<u64>,
    /// More command line arguments.
    pub extra_args: Vec<String>,
}

/// A running `anvil`, from `NEXUM_ANVIL` or from `PATH`. Dropping the value kills it.
#[derive(Debug)]
pub struct Anvil {
    child: Child,
    port: u16,
    options: AnvilOptions,
    client: reqwest::Client,
    reorgs: AtomicU64,
}

impl Anvil {
    /// Starts `anvil` with the default [`AnvilOptions`], and waits until it listens.
    ///
    /// # Panics
    ///
    /// If there is no `anvil`, or it does not start.
    pub fn start() -> Self {
        Self::start_with(&AnvilOptions::default())
    }

    /// Starts `anvil` with these options, and waits until it listens.
    ///
    /// # Panics
    ///
    /// If there is no `anvil`, or it does not start.
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

    /// Kills the process, as a crash does: connections break, the port refuses, and `anvil` writes
    /// no state.
    pub fn kill(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops the process cleanly. It writes its chain to [`AnvilOptions::state`] first.
    ///
    /// # Panics
    ///
    /// If the process cannot be stopped.
    pub fn stop(&mut self) {
        if self.child.try_wait().is_ok_and(|exit| exit.is_none()) {
            // The standard library can send only SIGKILL.
            let terminate = format!("kill -TERM {}", self.child.id());
            let told = Command::new("sh").args(["-c", &terminate]).status();
            assert!(told.is_ok_and(|status| status.success()), "cannot stop anvil");
        }
        let _ = self.child.wait();
    }

    /// Starts `anvil` again on its port, after [`kill`](Self::kill) or [`stop`](Self::stop). With
    /// [`AnvilOptions::state`], the chain is the one of the last stop, otherwise a new one.
    ///
    /// # Panics
    ///
    /// If `anvil` does not start.
    pub fn restart(&mut self) {
        self.kill();
        (self.child, self.port) = spawn(&self.options);
        // The old client may hold connections to the old process.
        self.client = client();
    }

    /// The port, for starting another process on it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The JSON-RPC endpoint over HTTP.
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The JSON-RPC endpoint over WebSocket.
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Sends one request and returns the `result` of the response.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error.
    pub async fn request(&self, method: &str, params: Value) -> Value {
        result(method, self.answer(method, params).await)
    }

    /// Sends requests with one method as one batch, and returns the `result` of each, in order.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error.
    pub async fn batch(&self, method: &str, params: &[Value]) -> Vec<Value> {
        if params.is_empty() {
            return Vec::new();
        }
        let requests = params
            .iter()
            .enumerate()
            .map(|(id, params)| envelope(id, method, params));
        let answers = match self.post(&requests.collect()).await {
            Value::Array(answers) => answers,
            answer => panic!("{method}: {answer}"),
        };
        let mut results = vec![Value::Null; params.len()];
        for answer in answers {
            let id = answer["id"].as_u64().and_then(|id| usize::try_from(id).ok());
            results[id.expect("an id of the batch")] = result(method, answer);
        }
        results
    }

    /// Sends one request and returns the complete response, which can be an error.
    ///
    /// # Panics
    ///
    /// If the node is unreachable.
    pub async fn answer(&self, method: &str, params: Value) -> Value {
        self.post(&envelope(1, method, &params)).await
    }

    async fn post(&self, body: &Value) -> Value {
        let response = self
            .client
            .post(self.http_url())
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await;
        let body = response
            .expect("anvil is reachable")
            .bytes()
            .await
            .expect("a complete response");
        serde_json::from_slice(&body).expect("a JSON response")
    }

    /// Mines `blocks` blocks.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error.
    pub async fn mine(&self, blocks: u64) {
        self.request("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    /// Replaces the newest `depth` blocks with as many others. The first new block contains a
    /// transfer, because empty blocks can have the hashes of the replaced ones.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error.
    pub async fn reorg(&self, depth: u64) {
        let value = format!("{:#x}", self.reorgs.fetch_add(1, Ordering::Relaxed) + 1);
        let accounts = self.request("eth_accounts", json!([])).await;
        let transfer = json!({ "from": accounts[0], "to": accounts[1], "value": value });
        self.request("anvil_reorg", json!([depth, [[transfer, 0]]])).await;
    }

    /// Deploys a contract that emits the logs of [`emit`](Self::emit), and returns its address.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error, or if the transaction is not mined
    /// within [`WAIT_MAX`].
    pub async fn deploy_emitter(&self) -> Address {
        let receipt = self.transact(json!({ "data": emitter::creation_code() })).await;
        Address::deserialize(&receipt["contractAddress"]).expect("the address of a new contract")
    }

    /// Makes an emitter emit these logs in one transaction. Returns the transaction's hash after it
    /// is mined.
    ///
    /// # Panics
    ///
    /// - If the logs do not all have one address, the address of a [deployed](Self::deploy_emitter)
    ///   emitter.
    /// - If a log has more than four topics.
    /// - If the node is unreachable or responds with an error.
    /// - If the transaction is not mined within [`WAIT_MAX`].
    pub async fn emit(&self, logs: &[LogSpec]) -> B256 {
        let emitter = logs.first().expect("a log").address;
        assert!(
            logs.iter().all(|log| log.address == emitter && log.topics.len() <= 4),
            "one emitter cannot emit these logs"
        );
        let receipt = self
            .transact(json!({ "to": emitter, "data": emitter::input(logs) }))
            .await;
        let emitted = receipt["logs"].as_array().map_or(0, Vec::len);
        assert_eq!(emitted, logs.len(), "the contract at {emitter} is not an emitter");
        B256::deserialize(&receipt["transactionHash"]).expect("a hash")
    }

    /// Sends a transaction from the first account, and returns its receipt.
    async fn transact(&self, mut transaction: Value) -> Value {
        transaction["from"] = self.request("eth_accounts", json!([])).await[0].take();
        let hash = self.request("eth_sendTransaction", json!([transaction])).await;
        // The receipt can appear a moment after the block.
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

/// A JSON-RPC request.
fn envelope(id: usize, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// The `result` of a response.
fn result(method: &str, mut answer: Value) -> Value {
    match answer.get_mut("result") {
        Some(result) => result.take(),
        None => panic!("{method}: {answer}"),
    }
}

/// Starts a process and waits until it listens. Also returns the port.
fn spawn(options: &AnvilOptions) -> (Child, u16) {
    let binary = binary();
    let mut command = Command::new(&binary);
    let chain_id = options.chain_id.unwrap_or(TEST_CHAIN_ID).to_string();
    command.args(["--host", "127.0.0.1", "--chain-id", &chain_id]);
    command.args(["--port", &options.port.unwrap_or(0).to_string()]);
    if let Some(path) = &options.ipc_path {
        command.arg("--ipc").arg(path);
    }
    if let Some(path) = &options.state {
        // Otherwise the restarted node cannot read or reorganise old blocks.
        command.arg("--state").arg(path).arg("--preserve-historical-states");
    }
    command
        .args(&options.extra_args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!(
            "cannot run `{}`: {error}\nhint: run `cargo xtask test`, which downloads anvil, or set {BINARY_VARIABLE} to its path",
            binary.display()
        )
    });
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let Some(port) = listening_port(&mut stdout) else {
        let _ = child.kill();
        panic!("`{}` exited without listening: {:?}", binary.display(), child.wait());
    };
    silence(port).expect("anvil answers");
    // A thread reads the remaining output, so that a full pipe never blocks the process. It ends
    // with the process.
    std::thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
    (child, port)
}

/// Turns off the request log, which takes as long as a small request. A quiet start would not print
/// the address.
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
    nexum_net::http_client().no_proxy().build().expect("a client")
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
