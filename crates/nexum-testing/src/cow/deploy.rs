//! Puts the contracts at their addresses.

use alloy_primitives::{Address, B256, Bytes, U256, b256};
use alloy_sol_types::SolValue;
use serde_json::{Value, json};

use super::abi;
use super::addresses as at;
use super::chain::{CowChain, Transaction};
use crate::AnvilOptions;

/// The gas limit of a deployment: the largest contract needs 5.4 million.
const GAS: u64 = 7_000_000;

/// The salt of the settlement and its allow list: "Mattresses in Berlin!".
const SALT: B256 = b256!("4d61747472657373657320696e204265726c696e210000000000000000000000");

/// `initializeManager(address)` with [`at::ALLOW_LIST_MANAGER`].
const INITIALIZE_MANAGER: [u8; 4] = [0x7f, 0x71, 0x20, 0xfe];

/// The account that deploys the contracts whose code moves to another address. An account of anvil
/// would make contracts at addresses that a public chain or a test uses.
const PLACER: Address = Address::repeat_byte(0xde);

/// The decimals of the two tokens.
const SELL_DECIMALS: u8 = 18;
const BUY_DECIMALS: u8 = 6;

impl CowChain {
    /// Starts a chain.
    ///
    /// # Panics
    ///
    /// If anvil does not start, or the contracts are not compiled.
    pub async fn start() -> Self {
        Self::start_with(AnvilOptions::default()).await
    }

    /// Starts a chain with these options of anvil, for example `--timestamp` and the time of the
    /// first block.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub async fn start_with(options: AnvilOptions) -> Self {
        let chain = Self::empty(options).await;
        settlement(&chain).await;
        others(&chain).await;
        chain
    }

    /// Deploys a contract, and puts its code at this address. The storage that the constructor wrote
    /// is lost.
    ///
    /// # Panics
    ///
    /// If the contract cannot be deployed.
    pub async fn place(&self, address: Address, creation: Bytes) {
        place(self, &[(address, creation)]).await;
    }
}

/// Puts the contracts at their addresses whose addresses do not matter to them.
async fn others(chain: &CowChain) {
    let decimals = |decimals: u8| U256::from(decimals).abi_encode();
    let registry = at::COMPOSABLE_COW.abi_encode();
    let contracts = [
        ("Multicall3", at::MULTICALL3, Vec::new()),
        ("Safe", at::SAFE, Vec::new()),
        ("SafeProxyFactory", at::SAFE_FACTORY, Vec::new()),
        ("CompatibilityFallbackHandler", at::COMPATIBILITY_HANDLER, Vec::new()),
        ("ComposableCow", at::COMPOSABLE_COW, at::SETTLEMENT.abi_encode()),
        ("SafeHandler", at::SAFE_HANDLER, Vec::new()),
        ("CurrentBlockTimestampFactory", at::TIMESTAMP_FACTORY, Vec::new()),
        ("ReceiverLock", at::RECEIVER_LOCK, Vec::new()),
        ("Twap", at::TWAP, registry),
        ("GoodAfterTime", at::GOOD_AFTER_TIME, Vec::new()),
        ("GoodAfterTimeV1", at::GOOD_AFTER_TIME_V1, Vec::new()),
        ("StopLoss", at::STOP_LOSS, Vec::new()),
        ("StopLossV1", at::STOP_LOSS_V1, Vec::new()),
        ("TradeAboveThreshold", at::TRADE_ABOVE_THRESHOLD, Vec::new()),
        ("PerpetualStableSwap", at::PERPETUAL_STABLE_SWAP, Vec::new()),
        ("Says", at::SAYS, (at::SELL_TOKEN, at::BUY_TOKEN).abi_encode()),
        ("Token", at::SELL_TOKEN, decimals(SELL_DECIMALS)),
        ("Token", at::BUY_TOKEN, decimals(BUY_DECIMALS)),
    ];
    let contracts = contracts.map(|(name, address, arguments)| (address, chain.contracts().creation(name, &arguments)));
    place(chain, &contracts).await;
}

/// Deploys the settlement and its allow list as they were deployed, because the settlement's domain
/// and its vault relayer depend on its address. The chain's account may settle.
async fn settlement(chain: &CowChain) {
    let contracts = chain.contracts();
    let initialize = [&INITIALIZE_MANAGER[..], at::ALLOW_LIST_MANAGER.into_word().as_slice()].concat();
    let proxy = (
        at::ALLOW_LIST_IMPLEMENTATION,
        at::ALLOW_LIST_MANAGER,
        Bytes::from(initialize),
    )
        .abi_encode_params();
    let codes = [
        contracts.creation("GPv2AllowListAuthentication", &[]),
        contracts.creation("GPv2AllowListProxy", &proxy),
        contracts.creation("GPv2Settlement", &(at::ALLOW_LIST, at::VAULT).abi_encode_params()),
    ];
    let account = chain.account().await;
    let transactions = codes.map(|code| Transaction {
        from: account,
        to: Some(at::DEPLOYER),
        input: [SALT.as_slice(), code.as_ref()].concat().into(),
        gas: GAS,
    });
    chain.execute(&transactions).await;
    for address in [at::SETTLEMENT, at::VAULT_RELAYER, at::ALLOW_LIST] {
        let code: Bytes = chain.request("eth_getCode", json!([address, "latest"])).await;
        assert!(!code.is_empty(), "{address} has no code");
    }
    chain.provide(&[at::ALLOW_LIST_MANAGER]).await;
    let solver = abi::addSolverCall { solver: account };
    chain
        .execute(&[Transaction::call(at::ALLOW_LIST_MANAGER, at::ALLOW_LIST, &solver)])
        .await;
}

/// Deploys contracts, and puts the code of each at its address.
async fn place(chain: &CowChain, contracts: &[(Address, Bytes)]) {
    chain.provide(&[PLACER]).await;
    let transactions: Vec<_> = contracts
        .iter()
        .map(|(_, creation)| Transaction {
            from: PLACER,
            to: None,
            input: creation.clone(),
            gas: GAS,
        })
        .collect();
    let receipts = chain.execute(&transactions).await;
    let params: Vec<_> = receipts
        .iter()
        .map(|receipt| json!([receipt["contractAddress"], "latest"]))
        .collect();
    let codes: Vec<Value> = chain.requests("eth_getCode", &params).await;
    let params: Vec<_> = contracts
        .iter()
        .zip(&codes)
        .map(|((address, _), code)| json!([address, code]))
        .collect();
    chain.requests::<Value>("anvil_setCode", &params).await;
}
