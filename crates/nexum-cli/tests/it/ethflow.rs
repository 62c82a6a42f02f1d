//! The module `ethflow` on a chain with the contracts of CoW Protocol.

mod refunds;

use alloy_primitives::{Address, B256, Bytes, U256};
use nexum_testing::cow::ethflow::abi::{self, EthFlowOrder};
use nexum_testing::cow::ethflow::{ETHFLOW, PICKY_USER};
use nexum_testing::cow::{CowChain, Transaction, addresses};
use nexum_testing::guests;
use serde_json::{Value, json};

use crate::Dir;
use crate::running::{Log, RUNNING, Started, spawn, terminate};

/// The most questions until an expected answer. Each takes some milliseconds.
const QUESTIONS_MAX: usize = 2_000;

/// How long the orders are valid, in seconds.
const VALID: u64 = 600;

/// The first wait of the module before it looks at a stuck order again, in seconds.
const WAIT: u64 = 3_600;

const ETHER: u64 = 1_000_000_000_000_000_000;

/// The daemon with the module.
struct Running {
    dir: Dir,
    child: Started,
    log: Log,
}

impl Running {
    fn start(chain: &CowChain) -> Self {
        Self::start_in(Dir::new(), chain, "")
    }

    /// Starts the daemon in a directory. `more` follows the module's table in `engine.toml`.
    fn start_in(dir: Dir, chain: &CowChain, more: &str) -> Self {
        dir.write(
            "engine.toml",
            format!(
                "[chains.11155111]\nrpc_url = {:?}\npoll_interval_ms = 10\n[[modules]]\npath = {:?}\n{more}",
                chain.anvil().http_url(),
                guests::component("ethflow").display().to_string(),
            ),
        );
        let mut child = spawn(&dir, &["run"]);
        let log = Log::of(&mut child);
        log.until_all(&RUNNING);
        Self { dir, child, log }
    }

    fn ask(&self, question: &Value) -> Value {
        let ran = self.dir.nexum(&["query", "ethflow", "--input", &question.to_string()]);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr))
    }

    /// Asks for the orders of a user until their amounts to buy and states are these, and returns
    /// the answer.
    fn await_states(&self, user: &str, expected: &[(&str, &str)]) -> Value {
        let mut last = Value::Null;
        for _ in 0..QUESTIONS_MAX {
            last = self.ask(&json!({ "owner": user }));
            let orders = last["orders"].as_array().expect("orders").iter();
            let text = |order: &Value, key: &str| order[key].as_str().expect("a text").to_owned();
            let mut found: Vec<_> = orders
                .map(|order| (text(order, "buy_amount"), text(order, "state")))
                .collect();
            found.sort();
            if found
                .iter()
                .map(|(amount, state)| (amount.as_str(), state.as_str()))
                .eq(expected.iter().copied())
            {
                return last;
            }
        }
        panic!("expected {expected:?}, found {last:#}");
    }

    /// Kills the daemon, and returns its directory.
    fn kill(mut self) -> Dir {
        self.child.kill().expect("a kill");
        self.child.wait().expect("an end");
        self.dir
    }

    /// Ends the daemon, and returns the rest of its log.
    fn stop(mut self) -> Vec<String> {
        terminate(&self.child);
        assert_eq!(self.child.wait().expect("an end").code(), Some(0));
        self.log.until(|_| false)
    }
}

/// An order whose amount to buy names it.
fn order(receiver: Address, buy_amount: u64, valid_to: u64) -> EthFlowOrder {
    EthFlowOrder {
        buyToken: addresses::BUY_TOKEN,
        receiver,
        sellAmount: U256::from(ETHER),
        buyAmount: U256::from(buy_amount),
        appData: B256::repeat_byte(0xab),
        feeAmount: U256::ZERO,
        validTo: u32::try_from(valid_to).expect("a time before 2106"),
        partiallyFillable: true,
        quoteId: -1,
    }
}

/// Sends the transactions of an answer from another account.
async fn send(chain: &CowChain, from: Address, calls: &Value) {
    let calls = calls.as_array().expect("calls").iter();
    let transactions: Vec<_> = calls
        .map(|call| Transaction {
            from,
            to: Some(field(&call["to"])),
            input: field::<Bytes>(&call["data"]),
            gas: 1_000_000,
        })
        .collect();
    assert!(!transactions.is_empty());
    chain.execute(&transactions).await;
}

fn field<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

async fn balance(chain: &CowChain, account: Address) -> U256 {
    chain.request("eth_getBalance", json!([account, "latest"])).await
}

#[tokio::test]
async fn reports_what_is_due_until_it_is_refunded() {
    let chain = CowChain::start().await;
    let ethflow = chain.ethflow().await;
    let accounts: Vec<Address> = chain.request("eth_accounts", json!([])).await;
    let (user, refunder) = (accounts[1], accounts[2]);
    let running = Running::start(&chain);
    let (user_text, picky_text) = (user.to_string(), PICKY_USER.to_string());

    let valid_to = chain.timestamp() + VALID;
    let orders = [1, 2, 3, 4].map(|amount| order(user, amount, valid_to));
    for order in &orders {
        ethflow.create(user, order).await;
    }
    ethflow.create_picky(user, &order(PICKY_USER, 5, valid_to)).await;
    let open = [("1", "open"), ("2", "open"), ("3", "open"), ("4", "open")];
    running.await_states(&user_text, &open);
    let picky = running.await_states(&picky_text, &[("5", "open")]);
    assert_eq!(picky["orders"][0]["quote_id"], -1);

    // The second is half filled, the third filled, and the fourth cancelled.
    ethflow.settle(&orders[1], U256::from(ETHER / 2)).await;
    ethflow.settle(&orders[2], U256::from(ETHER)).await;
    let cancel = abi::invalidateOrderCall {
        order: orders[3].clone(),
    };
    chain.execute(&[Transaction::call(user, ETHFLOW, &cancel)]).await;
    let cancelled = [("1", "open"), ("2", "open"), ("3", "open"), ("4", "cancelled")];
    let answer = running.await_states(&user_text, &cancelled);
    assert_eq!(answer["calls"], json!([]));

    chain.mine_at(valid_to + 1).await;
    let expired = [("1", "due"), ("2", "due"), ("3", "filled"), ("4", "cancelled")];
    let due = running.await_states(&user_text, &expired);
    let stuck = running.await_states(&picky_text, &[("5", "stuck")]);
    let reason = stuck["orders"][0]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("EthTransferFailed"), "{reason}");

    // One transaction pays both back, from any account.
    let before = balance(&chain, user).await;
    assert_eq!(due["calls"].as_array().map(Vec::len), Some(1));
    send(&chain, refunder, &due["calls"]).await;
    let refunded = [
        ("1", "refunded"),
        ("2", "refunded"),
        ("3", "filled"),
        ("4", "cancelled"),
    ];
    running.await_states(&user_text, &refunded);
    assert_eq!(balance(&chain, user).await - before, U256::from(ETHER + ETHER / 2));

    // A user that refuses ether can change its mind.
    let accept = abi::PickyUser::setAcceptsCall { accepts: true };
    chain.execute(&[Transaction::call(user, PICKY_USER, &accept)]).await;
    chain.mine_at(chain.timestamp() + WAIT).await;
    let due = running.await_states(&picky_text, &[("5", "due")]);
    send(&chain, refunder, &due["calls"]).await;
    running.await_states(&picky_text, &[("5", "refunded")]);
    assert_eq!(balance(&chain, PICKY_USER).await, U256::from(ETHER));

    let counts = running.ask(&json!({}))["chains"][0]["counts"].take();
    let expected = json!({
        "open": 0, "expired": 0, "due": 0, "stuck": 0, "filled": 1, "cancelled": 1, "refunded": 3, "closed": 0,
    });
    assert_eq!(counts, expected);
    let log = running.stop();
    let count = |text: &str| log.iter().filter(|line| line.contains(text)).count();
    assert_eq!(
        (count("a refund is due"), count("a refund is stuck")),
        (3, 1),
        "{log:#?}"
    );
}
