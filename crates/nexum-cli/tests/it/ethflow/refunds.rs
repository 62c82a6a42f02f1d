//! Refunds that the module sends itself.

use std::collections::BTreeMap;
use std::time::Duration;

use nexum_testing::TEST_CHAIN_ID;
use nexum_testing::accounts::{ACCOUNTS, PASSWORD};

use super::*;

/// The account of the refunds. The chain itself does not use it.
const REFUNDER: &str = ACCOUNTS[0].address;

/// `OrderRefund(bytes,address)`.
const ORDER_REFUND: &str = "0x195271068a288191e4b265c641a56b9832919f69e9e7d6c2f31ba40278aeb85a";

/// The most gas of a transaction, as the README of the module recommends it.
const GAS_MAX: u64 = 3_000_000;

/// A directory with the key, and the rest of the configuration.
fn refunding(limits: &str) -> (Dir, String) {
    let dir = Dir::new();
    dir.write("key.json", ACCOUNTS[0].keystore);
    dir.write("password", PASSWORD);
    let more = format!(
        "[modules.config]\nrefund = true\naccount = \"{REFUNDER}\"\n\
         [accounts.refunder]\naddress = \"{REFUNDER}\"\n\
         signer = {{ keystore = \"key.json\", password_file = \"password\" }}\n\
         [identity.ethflow.refunder]\n\
         send = [{{ chain = {TEST_CHAIN_ID}, to = \"{ETHFLOW}\", selectors = [\"0x4cb76498\"], max_gas = {GAS_MAX} }}]\n\
         limits = {{ max_fee_gwei = 1000, fee_per_day = \"100\", per_hour = 1000, {limits} }}\n"
    );
    (dir, more)
}

/// A transaction of the account in a block.
struct Sent {
    gas: u64,
    gas_used: u64,
}

/// The transactions of the account in blocks, which all succeeded.
async fn sent(chain: &CowChain) -> Vec<Sent> {
    let numbers: Vec<_> = (0..=chain.block_number().await)
        .map(|number| json!([U256::from(number), true]))
        .collect();
    let blocks: Vec<Value> = chain.requests("eth_getBlockByNumber", &numbers).await;
    let transactions = blocks
        .iter()
        .flat_map(|block| block["transactions"].as_array().expect("transactions"));
    let mut sent = Vec::new();
    for transaction in transactions {
        if field::<Address>(&transaction["from"]).to_string() != REFUNDER {
            continue;
        }
        let receipt: Value = chain
            .request("eth_getTransactionReceipt", json!([transaction["hash"]]))
            .await;
        assert_eq!(receipt["status"], "0x1", "{receipt:#}");
        sent.push(Sent {
            gas: field::<U256>(&transaction["gas"]).to(),
            gas_used: field::<U256>(&receipt["gasUsed"]).to(),
        });
    }
    sent
}

/// How often the contract has refunded each order.
async fn refunds(chain: &CowChain) -> BTreeMap<String, usize> {
    let filter = json!([{ "fromBlock": "0x0", "toBlock": "latest", "address": ETHFLOW, "topics": [ORDER_REFUND] }]);
    let logs: Vec<Value> = chain.request("eth_getLogs", filter).await;
    let mut refunds = BTreeMap::new();
    for log in logs {
        *refunds
            .entry(log["data"].as_str().expect("data").to_owned())
            .or_default() += 1;
    }
    refunds
}

/// Mines until the contract has refunded this many orders, and asserts that it has refunded each one once.
async fn mine_until_refunded(chain: &CowChain, count: usize) {
    let mined = async {
        while refunds(chain).await.len() < count {
            tokio::time::sleep(Duration::from_millis(100)).await;
            chain.mine(1).await;
        }
    };
    tokio::time::timeout(nexum_testing::WAIT_MAX, mined)
        .await
        .expect("refunds");
    let refunds = refunds(chain).await;
    assert_eq!(refunds.len(), count);
    assert!(refunds.values().all(|times| *times == 1), "{refunds:#?}");
}

/// Creates orders with these amounts to buy, and lets them expire.
async fn expired(chain: &CowChain, amounts: std::ops::RangeInclusive<u64>) {
    let accounts: Vec<Address> = chain.request("eth_accounts", json!([])).await;
    let valid_to = chain.timestamp() + VALID;
    for amount in amounts {
        let order = order(accounts[2], amount, valid_to);
        chain.deployed_ethflow().create(accounts[2], &order).await;
    }
    chain.mine_at(valid_to + 1).await;
}

/// Asks until this many orders are due, and no other one waits.
fn until_due(running: &Running, count: u64) {
    let mut last = Value::Null;
    for _ in 0..QUESTIONS_MAX {
        last = running.ask(&json!({}))["chains"][0]["counts"].take();
        if ["open", "expired", "due", "stuck"].map(|state| last[state].clone()) == [0, 0, count, 0].map(Value::from) {
            return;
        }
    }
    panic!("expected {count} due orders, found {last}");
}

#[tokio::test]
async fn refunds_due_orders_in_batches_once() {
    let chain = CowChain::start().await;
    chain.ethflow().await;
    let (dir, more) = refunding("in_flight = 4");
    let mut running = Running::start_in(dir, &chain, &more);

    // 35 orders are a batch of 30 and one of 5.
    expired(&chain, 1..=35).await;
    running.log.until_all(&["orders=30", "orders=5"]);
    mine_until_refunded(&chain, 35).await;
    let batches = sent(&chain).await;
    assert_eq!(batches.len(), 2);
    assert!(
        batches
            .iter()
            .all(|batch| batch.gas <= GAS_MAX && batch.gas_used < batch.gas)
    );

    // The process is killed when a transaction is signed and not yet sent, and when it is sent.
    let records = ["nexum signs a transaction", "refunds are on their way"];
    let mut count = 35;
    for (first, record) in (100..).step_by(5).zip(records.iter().cycle().take(4)) {
        expired(&chain, first..=first + 4).await;
        count += 5;
        running.log.until(|line| line.contains(record));
        running = Running::start_in(running.kill(), &chain, &more);
        mine_until_refunded(&chain, count).await;
    }
    // A crash can cost a second transaction, which skips its orders and succeeds.
    chain.mine(5).await;
    until_due(&running, 0);
    mine_until_refunded(&chain, count).await;
    assert!(sent(&chain).await.len() >= 6);
    running.stop();
}

#[tokio::test]
async fn refunds_wait_while_the_operator_refuses_them() {
    let chain = CowChain::start().await;
    chain.ethflow().await;
    let (dir, more) = refunding("in_flight = 1");
    let forbidden = more.replace("0x4cb76498", "0x12345678");
    let running = Running::start_in(dir, &chain, &forbidden);
    expired(&chain, 1..=31).await;
    let lines = running.log.until(|line| line.contains("nexum refuses to send refunds"));
    let record = lines.last().expect("a record");
    assert!(record.contains("Compare [identity.ethflow.<account>]"), "{record}");
    until_due(&running, 31);

    // The operator mends the rule. One batch is on its way at a time.
    let running = Running::start_in(running.kill(), &chain, &more);
    chain.mine(1).await;
    let lines = running.log.until(|line| line.contains("refunds wait"));
    let record = lines.last().expect("a record");
    assert!(
        record.contains("`in_flight` allows 1") && record.contains("raise the limit"),
        "{record}"
    );
    mine_until_refunded(&chain, 30).await;
    // nexum may not have seen the first batch in its block when the module asks again.
    let second = async {
        while refunds(&chain).await.len() < 31 {
            chain.mine_at(chain.timestamp() + WAIT).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(nexum_testing::WAIT_MAX, second)
        .await
        .expect("the second batch");
    mine_until_refunded(&chain, 31).await;
    assert_eq!(sent(&chain).await.len(), 2);
    running.stop();
}
