//! The chain, and how transactions get into its blocks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::code::Contracts;
use super::{abi, addresses};
use crate::order_book::OrderBook;
use crate::{Anvil, AnvilOptions, FakeClock};

/// The gas limit of a transaction: a block has room for several, and each call of an owner fits.
pub(super) const GAS: u64 = 2_000_000;

/// The most requests in one batch: with a kilobyte of input each, the batch stays below anvil's limit
/// of 2 MB.
const BATCH_MAX: usize = 200;

/// The most blocks that one group of transactions may take. It bounds the wait for a transaction
/// that fits into no block.
const BLOCKS_MAX: usize = 1_000;

/// The balance of an account that sends transactions, in wei: it outlasts every test.
const ENOUGH: U256 = U256::from_limbs([0, 1 << 32, 0, 0]);

/// A transaction. The chain accepts it without a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The sender, which can be a contract.
    pub from: Address,
    /// The called account; `None` creates a contract.
    pub to: Option<Address>,
    /// The input.
    pub input: Bytes,
    /// The gas limit.
    pub gas: u64,
}

impl Transaction {
    /// A call of a contract with a gas limit that suffices for each call of an owner.
    pub fn call(from: Address, to: Address, call: &impl SolCall) -> Self {
        Self {
            from,
            to: Some(to),
            input: call.abi_encode().into(),
            gas: GAS,
        }
    }
}

/// A chain with the contracts of CoW Protocol. Dropping the value ends it.
pub struct CowChain {
    anvil: Anvil,
    contracts: Contracts,
    clock: Arc<FakeClock>,
}

impl CowChain {
    /// Starts a chain without contracts.
    pub(super) async fn empty(mut options: AnvilOptions) -> Self {
        options
            .extra_args
            .extend(["--no-mining", "--auto-impersonate"].map(str::to_owned));
        let chain = Self {
            anvil: Anvil::start_with(&options),
            contracts: Contracts::load(),
            clock: Arc::new(FakeClock::at(0)),
        };
        chain
            .request::<Value>("anvil_setBlockTimestampInterval", json!([1]))
            .await;
        chain.read_time().await;
        chain
    }

    /// The node.
    pub fn anvil(&self) -> &Anvil {
        &self.anvil
    }

    /// The node, for a test that stops and restarts it.
    pub fn anvil_mut(&mut self) -> &mut Anvil {
        &mut self.anvil
    }

    /// The creation code of contracts that are not deployed yet.
    pub fn contracts(&self) -> &Contracts {
        &self.contracts
    }

    /// A clock with the time of the newest block.
    pub fn clock(&self) -> Arc<FakeClock> {
        Arc::clone(&self.clock)
    }

    /// Starts an order book that asks this chain, and has its time.
    ///
    /// # Panics
    ///
    /// As [`OrderBook::start`].
    pub async fn order_book(&self) -> OrderBook {
        let order_book = OrderBook::start().await.with_chain(&self.anvil.http_url());
        order_book.set_clock(self.clock());
        order_book
    }

    /// Sends one request, and returns its result.
    ///
    /// # Panics
    ///
    /// If the node is unreachable, responds with an error, or the result has another type.
    pub async fn request<T: DeserializeOwned>(&self, method: &str, params: Value) -> T {
        let result = self.anvil.request(method, params).await;
        serde_json::from_value(result).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Sends many requests with one method, and returns their results in order.
    ///
    /// # Panics
    ///
    /// As [`request`](Self::request).
    pub async fn requests<T: DeserializeOwned>(&self, method: &str, params: &[Value]) -> Vec<T> {
        let mut results = Vec::new();
        for group in params.chunks(BATCH_MAX) {
            for result in self.anvil.batch(method, group).await {
                results.push(serde_json::from_value(result).unwrap_or_else(|error| panic!("{method}: {error}")));
            }
        }
        results
    }

    /// Sends these transactions and mines until all are in blocks, in order. Returns their receipts.
    ///
    /// # Panics
    ///
    /// If a transaction fails, or if the node is unreachable or responds with an error.
    pub async fn execute(&self, transactions: &[Transaction]) -> Vec<Value> {
        let hashes = self.send(transactions).await;
        for _ in 0..BLOCKS_MAX {
            self.mine(1).await;
            if self.request::<Value>("txpool_status", json!([])).await["pending"] == "0x0" {
                break;
            }
        }
        let params: Vec<_> = hashes.iter().map(|hash| json!([hash])).collect();
        let receipts: Vec<Value> = self.requests("eth_getTransactionReceipt", &params).await;
        for (receipt, transaction) in receipts.iter().zip(transactions) {
            let Transaction { from, to, .. } = transaction;
            assert_eq!(receipt["status"], "0x1", "a transaction from {from} to {to:?} failed");
        }
        receipts
    }

    /// Sends these transactions without mining them. Returns their hashes.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error.
    pub async fn send(&self, transactions: &[Transaction]) -> Vec<B256> {
        let mut senders: Vec<_> = transactions.iter().map(|transaction| transaction.from).collect();
        senders.sort();
        senders.dedup();
        let params: Vec<_> = senders.iter().map(|sender| json!([sender, "pending"])).collect();
        let mut nonces: Vec<U256> = self.requests("eth_getTransactionCount", &params).await;
        let mut params = Vec::new();
        for transaction in transactions {
            let at = senders.binary_search(&transaction.from).expect("a known sender");
            params.push(json!([{
                "from": transaction.from,
                "to": transaction.to,
                "input": transaction.input,
                "gas": U256::from(transaction.gas),
                "nonce": nonces[at],
            }]));
            nonces[at] += U256::ONE;
        }
        self.requests("eth_sendTransaction", &params).await
    }

    /// Gives these accounts the ether for their transactions.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error.
    pub async fn provide(&self, accounts: &[Address]) {
        let params: Vec<_> = accounts.iter().map(|account| json!([account, ENOUGH])).collect();
        self.requests::<Value>("anvil_setBalance", &params).await;
    }

    /// Mines blocks, each one second after the one before it.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error.
    pub async fn mine(&self, blocks: u64) {
        for _ in 0..blocks {
            self.request::<Value>("evm_mine", json!([])).await;
        }
        self.read_time().await;
    }

    /// Mines a block with this time, in seconds since the Unix epoch.
    ///
    /// # Panics
    ///
    /// If the time is not after the newest block, or if the node is unreachable or responds with an
    /// error.
    pub async fn mine_at(&self, timestamp: u64) {
        self.set_next_timestamp(timestamp).await;
        self.mine(1).await;
        assert_eq!(self.timestamp(), timestamp, "the time of the new block");
    }

    /// Sets the time of the next block, in seconds since the Unix epoch.
    ///
    /// # Panics
    ///
    /// As [`mine_at`](Self::mine_at).
    pub async fn set_next_timestamp(&self, timestamp: u64) {
        self.request::<Value>("evm_setNextBlockTimestamp", json!([timestamp]))
            .await;
    }

    /// The time of the newest block, in seconds since the Unix epoch.
    pub fn timestamp(&self) -> u64 {
        use nexum_core::clock::Clock as _;
        self.clock.now_ms() / MS_PER_S
    }

    /// The number of the newest block.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error.
    pub async fn block_number(&self) -> u64 {
        self.request::<U256>("eth_blockNumber", json!([])).await.to()
    }

    /// The result of a call at the newest block, or the data with which it reverts.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with another error.
    pub async fn call(&self, to: Address, input: &[u8]) -> Result<Bytes, Bytes> {
        let call = json!({ "to": to, "input": Bytes::copy_from_slice(input) });
        self.try_call(json!([call, "latest"])).await
    }

    /// As [`call`](Self::call), with the parameters of `eth_call`.
    ///
    /// # Panics
    ///
    /// As [`call`](Self::call).
    pub async fn try_call(&self, params: Value) -> Result<Bytes, Bytes> {
        let answer = self.anvil.answer("eth_call", params).await;
        let bytes = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
        match bytes(&answer["result"]) {
            Some(result) => Ok(result),
            None => Err(bytes(&answer["error"]["data"]).unwrap_or_else(|| panic!("eth_call: {answer}"))),
        }
    }

    /// The decoded result of a call.
    ///
    /// # Panics
    ///
    /// If the call reverts, or the result has another type.
    pub async fn read<C: SolCall>(&self, to: Address, call: &C) -> C::Return {
        let result = self.call(to, &call.abi_encode()).await;
        let result = result.unwrap_or_else(|data| panic!("{} reverts with {data}", C::SIGNATURE));
        C::abi_decode_returns(&result).expect("a result of this function")
    }

    /// The account of the node that sends transactions without another sender: the last one. The contracts
    /// that the first one creates get addresses of [`addresses`], where there is code already.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error.
    pub async fn account(&self) -> Address {
        let accounts: Vec<Address> = self.request("eth_accounts", json!([])).await;
        *accounts.last().expect("an account")
    }

    /// Reads the time of the newest block into the clock. A caller that reverts the chain by itself
    /// needs it.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error.
    pub async fn read_time(&self) {
        let block: Value = self.request("eth_getBlockByNumber", json!(["latest", false])).await;
        let timestamp: U256 = serde_json::from_value(block["timestamp"].clone()).expect("a time");
        let elapsed = timestamp.to::<u64>().saturating_sub(self.timestamp());
        self.clock.advance(Duration::from_secs(elapsed));
        self.clock.set_now_ms(timestamp.to::<u64>() * MS_PER_S);
    }

    /// The EIP-712 domain separator of the settlement.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error.
    pub async fn domain_separator(&self) -> B256 {
        self.read(addresses::SETTLEMENT, &abi::domainSeparatorCall {}).await
    }
}

const MS_PER_S: u64 = 1_000;

impl fmt::Debug for CowChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CowChain")
            .field("anvil", &self.anvil)
            .finish_non_exhaustive()
    }
}
