//! A host without a network, a store on disk or a clock.

use std::collections::BTreeMap;
use std::fmt;

use alloy_primitives::{Address, keccak256};
use alloy_sol_types::{SolCall, SolInterface};
use serde_json::Value;

use super::rpc::{Rpc, unanswered};
use crate::host::{BATCH_REQUESTS_MAX, PARAMS_BYTES_MAX};
use crate::types::{HttpRequest, HttpResponse, Level, RpcRequest};
use crate::{Error, ErrorKind, Message, Result};

/// The time at which a test begins, in milliseconds since the Unix epoch: 2023-11-14 22:13:20.
const START_MS: u64 = 1_700_000_000_000;

type OnHttp = Box<dyn FnMut(&HttpRequest) -> Option<Result<HttpResponse>>>;
type OnCow = Box<dyn FnMut(u64, &str, &str, Option<&Value>) -> Option<Result<Value>>>;
type OnOrder = Box<dyn FnMut(u64, &Value) -> Result<()>>;

/// A host that answers from a test's scripts, and records what a module does.
pub struct Host {
    /// The log records, in order.
    pub logs: Vec<(Level, String)>,
    /// The methods and parameters of all JSON-RPC requests, in order.
    pub requests: Vec<(String, Value)>,
    /// The number of requests of each batch. A request that was sent alone is not listed.
    pub batches: Vec<usize>,
    /// All HTTP requests.
    pub http_requests: Vec<HttpRequest>,
    /// The chain and the JSON of all orders that were submitted.
    pub orders: Vec<(u64, Value)>,
    /// The topic and the payload of all messages that were published.
    pub published: Vec<(String, Vec<u8>)>,
    /// The messages that a search can find.
    pub messages: Vec<Message>,
    /// The accounts that the module may sign for.
    pub accounts: Vec<Address>,
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// The keys and values of the module.
    pub state: BTreeMap<String, Vec<u8>>,
    rpc: Rpc,
    on_http: Vec<OnHttp>,
    on_cow: Vec<OnCow>,
    on_order: Option<OnOrder>,
    store_fault: Option<(usize, Fault)>,
    random_calls: u64,
    /// Whether a query runs, which may only read the store, log, and use the clock and random bytes.
    pub(crate) is_query: bool,
}

/// How a call of the store fails.
#[derive(Clone, Copy)]
enum Fault {
    Error,
    Trap,
}

/// The payload of the panic that stands for a trap of the component.
pub(crate) struct Trap(pub(crate) &'static str);

impl Default for Host {
    fn default() -> Self {
        Self {
            logs: Vec::new(),
            requests: Vec::new(),
            batches: Vec::new(),
            http_requests: Vec::new(),
            orders: Vec::new(),
            published: Vec::new(),
            messages: Vec::new(),
            accounts: Vec::new(),
            now_ms: START_MS,
            state: BTreeMap::new(),
            rpc: Rpc::default(),
            on_http: Vec::new(),
            on_cow: Vec::new(),
            on_order: None,
            store_fault: None,
            random_calls: 0,
            is_query: false,
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("logs", &self.logs)
            .field("requests", &self.requests)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Host {
    /// A host without scripts: it has a store, logs, a clock and random bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// The texts of the log records.
    pub fn messages_logged(&self) -> Vec<&str> {
        self.logs.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// Answers JSON-RPC requests: chain, method and parameters. A later script is asked first; a
    /// script that returns `None` leaves the request to the others.
    pub fn on_rpc(&mut self, script: impl FnMut(u64, &str, &Value) -> Option<Result<Value>> + 'static) {
        self.rpc.on_request(Box::new(script));
    }

    /// Answers calls of a contract's function, alone and through Multicall3.
    pub fn on_call<C: SolCall>(&mut self, contract: Address, script: impl FnMut(C) -> C::Return + 'static) {
        self.rpc.on_call(contract, script);
    }

    /// Makes calls of a contract's function revert with an error of the contract: a variant of the enum
    /// that `sol!` generates for the errors of an interface.
    ///
    /// ```
    /// # use nexum_sdk::{Address, sol, testing::Host};
    /// sol! {
    ///     interface IVault {
    ///         error Paused(uint64 until);
    ///         function shares(address owner) external view returns (uint256);
    ///     }
    /// }
    ///
    /// # let vault = Address::ZERO;
    /// let mut host = Host::new();
    /// host.on_revert(vault, |_: IVault::sharesCall| {
    ///     IVault::IVaultErrors::Paused(IVault::Paused { until: 7 })
    /// });
    /// ```
    pub fn on_revert<C: SolCall, E: SolInterface>(&mut self, contract: Address, script: impl FnMut(C) -> E + 'static) {
        self.rpc.on_revert(contract, script);
    }

    /// Answers HTTP requests. A later script is asked first; a script that returns `None` leaves the
    /// request to the others.
    pub fn on_http(&mut self, script: impl FnMut(&HttpRequest) -> Option<Result<HttpResponse>> + 'static) {
        self.on_http.push(Box::new(script));
    }

    /// Answers requests to the order book: chain, method, path and body.
    pub fn on_cow(&mut self, script: impl FnMut(u64, &str, &str, Option<&Value>) -> Option<Result<Value>> + 'static) {
        self.on_cow.push(Box::new(script));
    }

    /// Accepts or refuses orders. Without this script, the order book accepts all.
    pub fn on_order(&mut self, script: impl FnMut(u64, &Value) -> Result<()> + 'static) {
        self.on_order = Some(Box::new(script));
    }

    /// Makes the `n`-th next call of the store return an error. 1 is the next call.
    pub fn fail_store_at(&mut self, n: usize) {
        self.store_fault = Some((n, Fault::Error));
    }

    /// Makes the `n`-th next call of the store end the event, as an exceeded limit does. 1 is the next
    /// call.
    pub fn trap_store_at(&mut self, n: usize) {
        self.store_fault = Some((n, Fault::Trap));
    }

    pub(crate) fn answer(&mut self, chain_id: u64, request: &RpcRequest) -> Result<String> {
        if request.params.len() > PARAMS_BYTES_MAX {
            return Err(too_much(format!(
                "the parameters take at most {PARAMS_BYTES_MAX} bytes"
            )));
        }
        let params: Value = serde_json::from_str(&request.params)?;
        let answer = self.rpc.answer(chain_id, &request.method, &params);
        self.requests.push((request.method.to_string(), params));
        answer.map(|answer| answer.to_string())
    }

    pub(crate) fn answer_batch(&mut self, chain_id: u64, requests: &[RpcRequest]) -> Result<Vec<Result<String>>> {
        if requests.len() > BATCH_REQUESTS_MAX {
            let error = format!("a batch holds at most {BATCH_REQUESTS_MAX} requests");
            return Err(too_much(error));
        }
        if requests.iter().map(|request| request.params.len()).sum::<usize>() > PARAMS_BYTES_MAX {
            let error = format!("the parameters of a batch take at most {PARAMS_BYTES_MAX} bytes");
            return Err(too_much(error));
        }
        self.batches.push(requests.len());
        let answer = |request| self.answer(chain_id, request);
        Ok(requests.iter().map(answer).collect())
    }

    /// The store, for one call.
    pub(crate) fn store(&mut self) -> Result<&mut BTreeMap<String, Vec<u8>>> {
        match self.store_fault.take() {
            Some((1, Fault::Error)) => Err(Error::of(
                "local-store",
                ErrorKind::Unavailable,
                "the test makes the store fail".into(),
            )),
            Some((1, Fault::Trap)) => std::panic::resume_unwind(Box::new(Trap("the test makes the store trap"))),
            fault => {
                self.store_fault = fault.map(|(n, fault)| (n - 1, fault));
                Ok(&mut self.state)
            }
        }
    }

    /// The store, for one call that writes.
    pub(crate) fn store_to_write(&mut self) -> Result<&mut BTreeMap<String, Vec<u8>>> {
        if self.is_query {
            let error = "a query may not write".to_owned();
            return Err(Error::of("local-store", ErrorKind::Denied, error));
        }
        self.store()
    }

    /// Bytes that differ from call to call, and not from run to run.
    pub(crate) fn random(&mut self, len: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len as usize {
            self.random_calls += 1;
            bytes.extend(keccak256(self.random_calls.to_be_bytes()));
        }
        bytes.truncate(len as usize);
        bytes
    }

    pub(crate) fn fetch(&mut self, request: HttpRequest) -> Result<HttpResponse> {
        let answer = self.on_http.iter_mut().rev().find_map(|script| script(&request));
        let missing = || unanswered("http", format!("{} {}", request.method, request.url));
        let answer = answer.unwrap_or_else(|| Err(missing()));
        self.http_requests.push(request);
        answer
    }

    pub(crate) fn cow_request(
        &mut self,
        chain_id: u64,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> Result<String> {
        let body = body.map(serde_json::from_str::<Value>).transpose()?;
        let mut scripts = self.on_cow.iter_mut().rev();
        let answer = scripts.find_map(|script| script(chain_id, method, path, body.as_ref()));
        let answer = answer.unwrap_or_else(|| Err(unanswered("cow-api", format!("{method} {path}"))))?;
        Ok(answer.to_string())
    }

    pub(crate) fn cow_submit(&mut self, chain_id: u64, order: &[u8]) -> Result<String> {
        let order: Value = serde_json::from_slice(order)?;
        self.on_order
            .as_mut()
            .map_or(Ok(()), |script| script(chain_id, &order))?;
        // A UID has 56 bytes, and equal orders have equal UIDs.
        let digest = keccak256(order.to_string());
        let uid = format!("{digest}{}", "00".repeat(24));
        self.orders.push((chain_id, order));
        Ok(uid)
    }

    /// A text of the length of a signature, which depends on the account and the message.
    pub(crate) fn sign(&mut self, account: &[u8], message: &[u8]) -> Result<Vec<u8>> {
        if !self.accounts.iter().any(|known| known.as_slice() == account) {
            let error = "the module has no such account".to_owned();
            return Err(Error::of("identity", ErrorKind::Denied, error));
        }
        let r = keccak256([account, message].concat());
        Ok([r.as_slice(), keccak256(r).as_slice(), &[27]].concat())
    }
}

/// The error for more than the host accepts.
fn too_much(message: String) -> Error {
    Error::of("chain", ErrorKind::InvalidInput, message)
}
