//! Transactions and other requests of a module that change something, in a whole host.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{hex, keccak256};
use nexum_config::engine::ModuleConfig;
use nexum_core::state::{DeadLetter, admin};
use nexum_core::store::{MemoryStore, StateStore};
use nexum_core::{Host, ModuleStatus};
use nexum_host_chain::Chains;
use nexum_host_store::LocalStore;
use nexum_testing::{Answer, FaultyStore, Node, WAIT_MAX, guests, kept};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::config;

const NAME: &str = "chain-caller";
const SEND: &str = "eth_sendRawTransaction";
const MINE: &str = "evm_mine";

/// The read whose answer a test gives the module before its requests, and the one that decides how its event ends.
const ASK: &str = "eth_gasPrice";
const VERDICT: &str = "eth_blobBaseFee";

/// The transaction of a block, whose number is in it.
fn hash(number: u8) -> String {
    format!("\"{}\"", keccak256([2, number]))
}

const TRANSACTION: &str = "eth_sendRawTransaction [\"0x02{n}\"]";

/// A module on a node and a store that outlive its host.
struct World {
    node: Node,
    store: Arc<MemoryStore>,
    calls: &'static [(&'static str, &'static str)],
    host: Option<Running>,
}

struct Running {
    /// The store of the process.
    disk: FaultyStore,
    status: Arc<ModuleStatus>,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl World {
    /// A module with this configuration that has handled the first block.
    async fn start(calls: &'static [(&'static str, &'static str)]) -> Self {
        let node = Node::start().await;
        for method in [SEND, MINE] {
            // A transaction that is accepted has the hash that nexum computes, whatever the node says.
            node.on(method, |_| Answer::Result(json!("0xdead")));
        }
        node.on(ASK, |_| Answer::Result(json!("0x00")));
        node.on(VERDICT, |_| Answer::Result(json!("ok")));
        let mut world = Self {
            node,
            store: Arc::new(MemoryStore::new()),
            calls,
            host: None,
        };
        world.run().await;
        world.node.mine(1);
        world.until(|world| world.done(1).is_some()).await;
        world
    }

    async fn run(&mut self) {
        let disk = FaultyStore::new(self.store.clone());
        let mut chain = config(&self.node.http_url());
        chain.retries = 0;
        chain.extra_methods.extend([SEND, MINE].map(str::to_owned));
        let mut module = ModuleConfig::new(guests::component(NAME));
        module.config = self
            .calls
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let host = Host::builder()
            .with(Chains::new([chain]))
            .with(LocalStore)
            .store(Arc::new(disk.clone()))
            .module(module)
            .build();
        let host = host.await.expect("a host");
        let status = host.handle().module(&NAME.parse().expect("a name")).expect("a module");
        let stop = CancellationToken::new();
        let (mut task, stopped) = (JoinSet::new(), stop.clone().cancelled_owned());
        task.spawn(async move { drop(host.run(stopped).await.expect("a run")) });
        self.host = Some(Running {
            disk,
            status,
            stop,
            task,
        });
    }

    fn host(&self) -> &Running {
        self.host.as_ref().expect("a host")
    }

    /// Kills the host: it writes nothing from now on.
    fn crash(&mut self) {
        self.host().disk.fail_writes(true);
        self.host = None;
    }

    async fn stop(mut self) {
        let mut host = self.host.take().expect("a host");
        host.stop.cancel();
        while let Some(ended) = host.task.join_next().await {
            ended.expect("an end in order");
        }
    }

    /// The stored answers of a block's requests, if its event ended ok.
    fn done(&self, number: u64) -> Option<String> {
        let done = kept(&*self.store, NAME, &format!("done/{number}"))?;
        Some(String::from_utf8(done).expect("text"))
    }

    fn letters(&self) -> Vec<DeadLetter> {
        let mut letters = Vec::new();
        let view = self.store.view().expect("a view");
        admin::dead_letters(&*view, &NAME.parse().expect("a name"), &mut |letter| {
            letters.push(letter);
            ControlFlow::Continue(())
        })
        .expect("dead letters");
        letters
    }

    /// The parameters of the requests of a method after the one of the first block.
    fn sent(&self, method: &str) -> Vec<String> {
        let calls = self.node.calls().into_iter().filter(|call| call.method == method);
        calls.skip(1).map(|call| call.params).collect()
    }

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let poll = async {
            let mut turns = tokio::time::interval(Duration::from_millis(1));
            while !holds(self) {
                turns.tick().await;
            }
        };
        tokio::time::timeout(WAIT_MAX, poll).await.expect("it did not come");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn a_host_that_crashed_between_a_transaction_and_its_commit_sends_the_same_bytes_again() {
    let mut world = World::start(&[("calls", TRANSACTION)]).await;
    world.node.on(SEND, |_| Answer::Hang);
    world.node.mine(1);
    world.until(|world| !world.sent(SEND).is_empty()).await;
    world.crash();
    // The node has the transaction.
    world.node.on(SEND, |_| Answer::error(-32_000, "already known"));
    world.run().await;
    world.until(|world| world.done(2).is_some()).await;
    assert_eq!(world.done(2), Some(hash(2)));
    assert_eq!(world.sent(SEND), ["[\"0x0202\"]"; 2]);
    world.stop().await;
}

/// The price is in the bytes. With another price, the node would get two transactions.
#[tokio::test]
async fn a_transaction_has_the_price_of_the_first_attempt() {
    let world = World::start(&[
        ("ask", ASK),
        ("calls", "eth_sendRawTransaction [\"0x02{x}\"]"),
        ("verdict", VERDICT),
    ])
    .await;
    for (method, answers) in [(ASK, ["0xaa", "0xbb"]), (VERDICT, ["fail", "ok"])] {
        let answers = parking_lot::Mutex::new(answers.into_iter());
        world.node.on(method, move |_| {
            Answer::Result(json!(answers.lock().next().unwrap_or("ok")))
        });
    }
    world.node.mine(1);
    world.until(|world| world.done(2).is_some()).await;
    assert_eq!(world.sent(SEND), ["[\"0x02aa\"]"]);
    world.stop().await;
}

#[tokio::test]
async fn the_transaction_of_a_batch_is_sent_once() {
    let world = World::start(&[
        (
            "calls",
            "eth_chainId []\neth_sendRawTransaction [\"0x02{n}\"]\neth_blockNumber []",
        ),
        ("batch", "yes"),
        ("verdict", VERDICT),
    ])
    .await;
    let verdicts = parking_lot::Mutex::new(["fail", "trap"].into_iter());
    world.node.on(VERDICT, move |_| {
        Answer::Result(json!(verdicts.lock().next().unwrap_or("ok")))
    });
    world.node.mine(1);
    world.until(|world| world.done(2).is_some()).await;
    let done = world.done(2).expect("answers");
    let lines: Vec<_> = done.lines().collect();
    assert_eq!((lines.len(), lines[1]), (3, &*hash(2)), "{done}");
    assert!(
        hex::decode(lines[0].trim_matches('"')).is_ok() || lines[0].contains("0x"),
        "{done}"
    );
    assert_eq!(world.sent(SEND), ["[\"0x0202\"]"]);
    assert_eq!(world.node.count(VERDICT), 4);
    world.stop().await;
}

#[tokio::test]
async fn a_method_of_the_class_once_is_sent_once_and_its_event_is_a_dead_letter_after_a_crash() {
    let mut world = World::start(&[("calls", "evm_mine [\"{n}\"]")]).await;
    world.node.on(MINE, |_| Answer::Hang);
    world.node.mine(1);
    world.until(|world| !world.sent(MINE).is_empty()).await;
    world.crash();
    world.node.on(MINE, |_| Answer::Result(json!("mined")));
    world.run().await;
    world.until(|world| !world.letters().is_empty()).await;
    let letter = world.letters().remove(0);
    let reason = &letter.attempts[0].reason;
    assert!(
        reason.starts_with("nexum does not know whether effect 1 of this event, rpc to chain"),
        "{reason}"
    );
    world
        .host()
        .status
        .retry(letter.id)
        .await
        .expect_err("the outcome is unknown");
    world.node.mine(1);
    world.until(|world| world.done(3).is_some()).await;
    assert_eq!(world.sent(MINE), ["[\"02\"]", "[\"03\"]"]);
    assert_eq!(world.done(3).as_deref(), Some("\"mined\""));
    world.stop().await;
}
