//! The program that an author would write without nexum: tasks that query a node and send their
//! rows to one thread, which commits them together.

use std::borrow::Cow;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use alloy_provider::network::Ethereum;
use alloy_provider::{DynProvider, Provider, RootProvider};
use alloy_rpc_client::RpcClient;
use alloy_transport_ws::WsConnect;
use nexum_store::Backend;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::bare::Bare;
use crate::blocks::WORK;
use crate::{Result, host};

/// The most tasks in one commit.
const COMMITS_MAX: usize = 256;

/// The native program.
pub(crate) struct Native<'a> {
    runtime: &'a Runtime,
    provider: DynProvider,
    commits: mpsc::Sender<Commit>,
    tasks: usize,
    block: u64,
}

struct Commit {
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    done: oneshot::Sender<()>,
}

impl<'a> Native<'a> {
    pub(crate) fn start(
        runtime: &'a Runtime,
        backend: Backend,
        directory: &Path,
        tasks: usize,
        url: &str,
    ) -> Result<Self> {
        let client = runtime.block_on(RpcClient::connect_pubsub(WsConnect::new(url)))?;
        let bare = Bare::open(backend, directory)?;
        let (commits, mut queue) = mpsc::channel::<Commit>(COMMITS_MAX);
        thread::spawn(move || {
            let mut waiting = Vec::new();
            while queue.blocking_recv_many(&mut waiting, COMMITS_MAX) > 0 {
                let rows = waiting.iter().flat_map(|commit: &Commit| &commit.rows);
                let written = bare.write(rows.map(|(key, value)| (&key[..], Some(&value[..]))));
                written.expect("a disk that can be written");
                for commit in waiting.drain(..) {
                    // The task waits for this, unless the bench has failed.
                    let _ = commit.done.send(());
                }
            }
        });
        Ok(Self {
            runtime,
            provider: RootProvider::<Ethereum>::new(client).erased(),
            commits,
            tasks,
            block: 0,
        })
    }

    /// The time for one block.
    pub(crate) fn sample(&mut self) -> Result<Duration> {
        self.block += 1;
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            let start = Instant::now();
            for task in 0..self.tasks as u64 {
                let (provider, commits) = (self.provider.clone(), self.commits.clone());
                tasks.spawn(handle(provider, commits, task, self.block));
            }
            while let Some(done) = tasks.join_next().await {
                done??;
            }
            Ok(start.elapsed())
        })
    }
}

/// The work of a module, in a task.
async fn handle(provider: DynProvider, commits: mpsc::Sender<Commit>, task: u64, block: u64) -> Result<()> {
    for index in 0..WORK.requests {
        let address = task * host::ADDRESSES + index;
        let params = RawValue::from_string(format!(r#"["0x{address:040x}","latest"]"#))?;
        provider
            .raw_request_dyn(Cow::Borrowed("eth_getBalance"), &params)
            .await?;
    }
    let mut value = block.to_le_bytes().to_vec();
    value.resize(WORK.bytes as usize, 0);
    let row = |index: u64| (format!("{task:04}/{index}").into_bytes(), value.clone());
    let (done, committed) = oneshot::channel();
    let rows = (0..WORK.writes).map(row).collect();
    commits
        .send(Commit { rows, done })
        .await
        .map_err(|_| "the commits have ended")?;
    Ok(committed.await?)
}
