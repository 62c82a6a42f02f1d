//! A chain with the accounts of the vectors, and the state before each call.

use alloy_primitives::{Address, B256, Bytes, I256, U256, address, b256};
use alloy_sol_types::SolValue;
use nexum_testing::AnvilOptions;
use nexum_testing::cow::addresses as at;
use nexum_testing::cow::{CowChain, Transaction, abi};
use serde_json::{Value, json};

use super::vectors::{self, Log, Poll};

/// A time before that of the first vector.
const GENESIS_S: u64 = 1_795_900_000;

/// The Safe that owns most orders.
pub(super) const OWNER: Address = address!("7d50E4e1C3e449B1242aC37F037B7b965377C158");

const SAFE_WITHOUT_HANDLER: Address = address!("d0144DbddDDA2b2a08A1de3770B2D7959AE5116B");

/// The slot of a Safe with its fallback handler.
const HANDLER_SLOT: B256 = b256!("6c9a6c4a39284e37ed1cf53d337577d14212a4870fb976a4366c693b939918d5");

const SELL_ORACLE: Address = address!("59b670e9fA9D0A427751Af201D676719a970857b");
const BUY_ORACLE: Address = address!("4ed7c70F96B99c776995fB64377f0d4aB3B0e1C1");

/// The owner's balances.
const SELL_BALANCE: u128 = 1_000_000_000_000_000_000_000_000;
const BUY_BALANCE: u128 = 1_000_000_000_000;

/// One unit of an oracle.
const PRICE: i64 = 100_000_000;

/// The length of the reason that a file abbreviates.
const LONG_REASON_BYTES: usize = 10_000;

/// Starts a chain with the accounts of the vectors.
pub(super) async fn start() -> CowChain {
    let chain = CowChain::start_with(AnvilOptions {
        extra_args: vec!["--timestamp".to_owned(), GENESIS_S.to_string()],
        ..AnvilOptions::default()
    })
    .await;
    let proxy = chain.contracts().creation("SafeProxy", &at::SAFE.abi_encode());
    let domain = chain.domain_separator().await;
    let wallet = |name| {
        let arguments = (at::COMPOSABLE_COW, domain).abi_encode();
        chain.contracts().creation(name, &arguments)
    };
    let contract = |name| chain.contracts().creation(name, &[]);
    let accounts = [
        (OWNER, proxy.clone()),
        (SAFE_WITHOUT_HANDLER, proxy),
        (
            address!("7a2088a1bFc9d81c55368AE168C2C02570cB814F"),
            wallet("Forwarder"),
        ),
        (
            address!("09635F643e140090A9A8Dcd712eD6285858ceBef"),
            wallet("DenyingForwarder"),
        ),
        (
            address!("c5a5C42992dECbae36851359345FE25997F5C42d"),
            wallet("SilentForwarder"),
        ),
        (address!("a85233C63b9Ee964Add6F2cffe00Fd84eb32338f"), contract("Mute")),
        (
            address!("4A679253410272dd5232B3Ff7cF5dbB88f295319"),
            contract("Unsupporting"),
        ),
        (SELL_ORACLE, contract("SettableOracle")),
        (BUY_ORACLE, contract("SettableOracle")),
    ];
    for (address, creation) in accounts {
        chain.place(address, creation).await;
        chain.provide(&[address]).await;
    }
    for (safe, slot, value) in [
        (OWNER, B256::ZERO, at::SAFE),
        (OWNER, HANDLER_SLOT, at::SAFE_HANDLER),
        (SAFE_WITHOUT_HANDLER, B256::ZERO, at::SAFE),
    ] {
        let params = json!([safe, slot, value.into_word()]);
        chain.request::<Value>("anvil_setStorageAt", params).await;
    }
    let verify = abi::setDomainVerifierCall {
        domainSeparator: domain,
        verifier: at::COMPOSABLE_COW,
    };
    let mint = |balance| abi::mintCall {
        to: OWNER,
        value: U256::from(balance),
    };
    let approve = abi::approveCall {
        spender: at::VAULT_RELAYER,
        value: U256::MAX,
    };
    chain
        .execute(&[
            Transaction::call(OWNER, OWNER, &verify),
            Transaction::call(OWNER, at::SELL_TOKEN, &mint(SELL_BALANCE)),
            Transaction::call(OWNER, at::BUY_TOKEN, &mint(BUY_BALANCE)),
            Transaction::call(OWNER, at::SELL_TOKEN, &approve),
        ])
        .await;
    chain
}

/// Makes the state in which the deployed contracts answered this poll.
pub(super) async fn prepare(chain: &CowChain, poll: &Poll) {
    let now = poll.block.timestamp;
    oracles(chain, poll).await;
    if poll.name == "guard-restricted" {
        chain.set_swap_guard(poll.owner, at::RECEIVER_LOCK).await;
    }
    if poll.name.starts_with("merkle-") {
        return root(chain, poll).await;
    }
    let order = poll.order();
    chain.provide(&[poll.owner]).await;
    match poll.name.as_str() {
        "twap-context" => {
            chain.set_next_timestamp(now).await;
            chain.create_with_context(poll.owner, &order).await;
        }
        "created-again" => {
            let events = [(poll.owner, order)];
            chain.create(&events).await;
            chain.remove(poll.owner, &events[0].1).await;
            chain.create(&events).await;
        }
        _ => chain.create(&[(poll.owner, order)]).await,
    }
}

/// Sets the root that the owner had at this block.
async fn root(chain: &CowChain, poll: &Poll) {
    let logs: Vec<Log> = vectors::read("logs.json");
    let roots = logs
        .iter()
        .filter(|log| log.name.starts_with("set-root-") && log.block_number <= poll.block.number);
    let log = roots.max_by_key(|log| log.block_number).expect("a root");
    let root = B256::from_slice(&log.data[..32]);
    let proof = abi::Proof {
        location: U256::ZERO,
        data: Bytes::new(),
    };
    let transaction = match log.name.as_str() {
        "set-root-with-context" => {
            chain.set_next_timestamp(poll.block.timestamp).await;
            let set = abi::setRootWithContextCall {
                root,
                proof,
                factory: at::TIMESTAMP_FACTORY,
                data: Bytes::new(),
            };
            Transaction::call(OWNER, at::COMPOSABLE_COW, &set)
        }
        _ => Transaction::call(OWNER, at::COMPOSABLE_COW, &abi::setRootCall { root, proof }),
    };
    chain.execute(&[transaction]).await;
}

/// Sets the prices of the oracles for the cases of stop-loss orders.
async fn oracles(chain: &CowChain, poll: &Poll) {
    let now = poll.block.timestamp;
    let (sold, updated) = match poll.name.as_str() {
        "stoploss-invalid-price" => (0, now),
        "stoploss-stale" => (PRICE, GENESIS_S),
        "stoploss-not-reached" => (2 * PRICE, now),
        name if name.starts_with("stoploss-") => (PRICE, now),
        _ => return,
    };
    let set = |oracle, answer: i64, updated: u64| {
        let set = abi::setCall {
            answer: I256::try_from(answer).expect("a price"),
            updatedAt: U256::from(updated),
        };
        Transaction::call(OWNER, oracle, &set)
    };
    chain
        .execute(&[set(SELL_ORACLE, sold, updated), set(BUY_ORACLE, PRICE, now)])
        .await;
}

/// The static input of a case that the file abbreviates.
pub(super) fn abbreviated(name: &str) -> Bytes {
    assert_eq!(name, "says-long-reason", "an abbreviated input");
    let reason = "x".repeat(LONG_REASON_BYTES);
    (U256::ONE, U256::ZERO, reason).abi_encode_params().into()
}
