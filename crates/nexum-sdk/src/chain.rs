//! Reads from a chain, and transactions.
//!
//! A call returns a future, which sends its request when it is awaited. Requests that are awaited
//! together, for example with [`try_join_all`](crate::try_join_all), are one batch.

mod block_id;
mod codec;
mod filter;
mod header;
mod multicall;
mod receipt;

use std::borrow::Cow;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use serde::{Serialize, de::DeserializeOwned};

pub use block_id::BlockId;
pub use filter::Filter;
pub use header::Header;
pub use receipt::Receipt;

use crate::executor::Response;
use crate::{Block, Error, ErrorKind, Log, Result};
use codec::{Json, bytes, number, quantity};

/// A chain, at a block. The reads of state (`call`, `balance`, `code`, `storage`, `nonce`) describe
/// the state after this block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    id: u64,
    block: BlockId,
}

/// A call of a contract that changes nothing, or a [transaction](Chain::send_transaction).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// The contract, or the receiver of ether.
    pub to: Address,
    /// The encoded function and arguments. Empty for a transfer of ether.
    pub data: Bytes,
    /// The caller. The default is the zero address. A transaction needs an account of the module.
    pub from: Option<Address>,
    /// The ether that the call carries, in wei.
    pub value: Option<U256>,
    /// The limit of gas. The default is the endpoint's, and for a transaction its estimate with a
    /// margin.
    pub gas: Option<u64>,
}

impl Chain {
    /// The chain with this EIP-155 id, at its latest block. With `pin = "event"` in the operator's
    /// configuration, the latest block is the block of the event.
    pub const fn new(id: u64) -> Self {
        Self {
            id,
            block: BlockId::Latest,
        }
    }

    /// The chain at another block: a number, a hash, or a [`BlockId`].
    #[must_use]
    pub fn at(self, block: impl Into<BlockId>) -> Self {
        Self {
            block: block.into(),
            ..self
        }
    }

    /// The EIP-155 id.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The block that reads of state describe.
    pub const fn block(&self) -> BlockId {
        self.block
    }

    /// Sends any request that the operator allows, and reads its result as `T`.
    ///
    /// # Errors
    ///
    /// The host's error, or [`ErrorKind::Internal`] for a result of another type.
    pub async fn request<T: DeserializeOwned>(
        self,
        method: impl Into<Cow<'static, str>>,
        params: impl Serialize,
    ) -> Result<T> {
        let answer = self.raw(method, serde_json::to_string(&params)?).await?;
        codec::read(&answer)
    }

    /// Calls a function of a contract.
    ///
    /// # Errors
    ///
    /// The host's error. After a revert, [`Error::decode_revert`] gives the contract's error.
    pub fn call<C: SolCall>(self, to: Address, call: &C) -> impl Future<Output = Result<C::Return>> + use<C> {
        let request = CallRequest {
            to,
            data: call.abi_encode().into(),
            ..CallRequest::default()
        };
        self.call_decoded::<C>(&request)
    }

    /// Calls a contract with encoded arguments, and returns its encoded answer.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn call_raw(self, request: &CallRequest) -> impl Future<Output = Result<Bytes>> + use<> {
        let answer = self.raw("eth_call", self.call_params(request));
        async move { Ok(bytes(&answer.await?)?.into()) }
    }

    /// Calls a contract, and decodes what its function returns.
    pub(crate) fn call_decoded<C: SolCall>(
        self,
        request: &CallRequest,
    ) -> impl Future<Output = Result<C::Return>> + use<C> {
        let (to, answer) = (request.to, self.raw("eth_call", self.call_params(request)));
        async move { decode_return::<C>(to, &bytes(&answer.await?)?) }
    }

    /// The gas that a call takes.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn estimate_gas(self, request: &CallRequest) -> impl Future<Output = Result<u64>> + use<> {
        let answer = self.raw("eth_estimateGas", self.call_params(request));
        async move { number(&answer.await?) }
    }

    /// Sends a transaction from an account that the operator gives to the module, and returns its hash.
    /// nexum chooses the nonce and the fees, and submits the transaction until a block has it. With
    /// higher fees, a transaction gets another hash.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] for a transaction that no rule of the operator allows or that would
    /// revert, [`ErrorKind::RateLimited`] above a limit of the operator, or another error of the host.
    pub fn send_transaction(self, transaction: &CallRequest) -> impl Future<Output = Result<B256>> + use<> {
        let answer = self.raw("eth_sendTransaction", call_object(transaction).end());
        async move { codec::read(&answer.await?) }
    }

    /// Calls a function of many contracts in one `eth_call`, through the contract Multicall3. The
    /// results have the order of the calls. A call that reverts does not affect the others.
    ///
    /// A contract that uses up all gas makes the whole call fail, so call only contracts that you
    /// trust. Other calls, joined, are one batch of requests.
    ///
    /// # Errors
    ///
    /// The host's error, or a chain without Multicall3.
    pub async fn multicall<C: SolCall>(self, calls: &[(Address, C)]) -> Result<Vec<Result<C::Return>>> {
        multicall::send(self, calls).await
    }

    /// The number of the latest block that the endpoint has.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub async fn block_number(self) -> Result<u64> {
        number(&self.raw("eth_blockNumber", "[]".into()).await?)
    }

    /// The endpoint's estimate of the price of gas, in wei.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub async fn gas_price(self) -> Result<U256> {
        quantity(&self.raw("eth_gasPrice", "[]".into()).await?)
    }

    /// The header of the chain's block. `None` if the endpoint does not have the block.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub async fn header(self) -> Result<Option<Header>> {
        let (method, params) = match self.block {
            BlockId::Hash(hash) => ("eth_getBlockByHash", Json::list().hex(&hash.0).word("false").end()),
            block => ("eth_getBlockByNumber", Json::list().block(block).word("false").end()),
        };
        codec::read(&self.raw(method, params).await?)
    }

    /// The ether of an account, in wei.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub async fn balance(self, account: Address) -> Result<U256> {
        quantity(&self.raw("eth_getBalance", self.state_params(account)).await?)
    }

    /// The number of transactions that an account sent.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub async fn nonce(self, account: Address) -> Result<u64> {
        number(&self.raw("eth_getTransactionCount", self.state_params(account)).await?)
    }

    /// The code of a contract. Empty for other accounts.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub async fn code(self, account: Address) -> Result<Bytes> {
        Ok(bytes(&self.raw("eth_getCode", self.state_params(account)).await?)?.into())
    }

    /// A word of a contract's storage.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub async fn storage(self, account: Address, slot: U256) -> Result<B256> {
        let slot = slot.to_be_bytes::<32>();
        let params = Json::list().hex(account.as_slice()).hex(&slot).block(self.block).end();
        let word = bytes(&self.raw("eth_getStorageAt", params).await?)?;
        B256::try_from(&word[..]).map_err(|_| codec::unreadable("a word of storage has 32 bytes"))
    }

    /// The logs that match a filter, in the order of the chain.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub async fn logs(self, filter: &Filter) -> Result<Vec<Log>> {
        let answer = self.raw("eth_getLogs", filter.params(self.block)?).await?;
        receipt::logs(self.id, &answer)
    }

    /// The receipt of a transaction. `None` until the transaction is in a block.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub async fn receipt(self, transaction: B256) -> Result<Option<Receipt>> {
        let params = Json::list().hex(&transaction.0).end();
        let answer = self.raw("eth_getTransactionReceipt", params).await?;
        receipt::read(self.id, &answer)
    }

    /// The receipts of all transactions of the chain's block, in their order. `None` if the endpoint
    /// does not have the block.
    ///
    /// # Errors
    ///
    /// The host's error. Some endpoints do not know the method `eth_getBlockReceipts`.
    pub async fn receipts(self) -> Result<Option<Vec<Receipt>>> {
        let params = Json::list().block(self.block).end();
        receipt::read_all(self.id, &self.raw("eth_getBlockReceipts", params).await?)
    }

    fn raw(self, method: impl Into<Cow<'static, str>>, params: String) -> Response {
        Response::of(self.id, method, params)
    }

    fn state_params(self, account: Address) -> String {
        Json::list().hex(account.as_slice()).block(self.block).end()
    }

    fn call_params(self, request: &CallRequest) -> String {
        call_object(request).block(self.block).end()
    }
}

/// A list with the object of a call or a transaction.
fn call_object(request: &CallRequest) -> Json {
    let CallRequest {
        to,
        data,
        from,
        value,
        gas,
    } = request;
    let mut json = Json::with_room(data.len());
    json = json.piece("{\"to\":\"0x").digits(to.as_slice());
    json = json.piece("\",\"data\":\"0x").digits(data).piece("\"");
    if let Some(from) = from {
        json = json.key("from").hex(from.as_slice());
    }
    if let Some(value) = value {
        json = json.key("value").quantity(*value);
    }
    if let Some(gas) = gas {
        json = json.key("gas").quantity(U256::from(*gas));
    }
    json.close_object()
}

impl Block {
    /// The chain, with reads of the state after this block.
    pub fn chain(&self) -> Chain {
        Chain::new(self.chain_id).at(BlockId::Hash(self.hash))
    }
}

impl Log {
    /// The chain, with reads of the state after the log's block.
    pub fn chain(&self) -> Chain {
        Chain::new(self.chain_id).at(BlockId::Number(self.block_number))
    }
}

/// Decodes the answer of a function. An address without code answers nothing.
fn decode_return<C: SolCall>(to: Address, answer: &[u8]) -> Result<C::Return> {
    C::abi_decode_returns(answer).map_err(|error| {
        let reason = match answer {
            [] => format!("{}: {to} returns nothing; is there a contract?", C::SIGNATURE),
            _ => format!("{}: {to} returns another type: {error}", C::SIGNATURE),
        };
        Error::of("chain", ErrorKind::InvalidInput, reason)
    })
}
