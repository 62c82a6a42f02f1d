//! EthFlow, which sells ether for its users.

pub mod abi;

use alloy_primitives::{Address, B256, Bytes, U256, address};
use alloy_sol_types::{SolCall, SolValue};
use serde_json::{Value, json};

use super::abi as cow;
use super::addresses as at;
use super::chain::{CowChain, Transaction};
use crate::order_book::{Kind, OrderTerms, TokenBalance};
use abi::EthFlowOrder;

/// The EthFlow contract of production.
pub const ETHFLOW: Address = address!("bA3cB449bD2B4ADddBc894D8697F5170800EAdeC");

/// Ether as a token, on Sepolia.
pub const WRAPPED_ETHER: Address = address!("fFf9976782d46CC05630D1f6eBAb18b2324d6B14");

/// A user whose contract refuses ether until `setAccepts(true)`. It exists on no public chain.
pub const PICKY_USER: Address = address!("0165878A594ca255338adfa4d48449f69242Eb8F");

/// `validTo` of every EthFlow order at the settlement.
const FOREVER: u32 = u32::MAX;

/// The gas limit of a transaction with ether.
const GAS: u64 = 1_000_000;

/// An EthFlow contract on a chain.
#[derive(Debug)]
pub struct EthFlow<'a>(&'a CowChain);

impl CowChain {
    /// Adds EthFlow to the chain, with the token that it wraps ether into, and a user that refuses
    /// ether.
    ///
    /// # Panics
    ///
    /// If a contract cannot be deployed.
    pub async fn ethflow(&self) -> EthFlow<'_> {
        let creation = |name: &str, arguments: &[u8]| self.contracts().creation(name, arguments);
        self.place(WRAPPED_ETHER, creation("WrappedEther", &[])).await;
        let arguments = (at::SETTLEMENT, WRAPPED_ETHER).abi_encode_params();
        self.place(ETHFLOW, creation("EthFlow", &arguments)).await;
        self.place(PICKY_USER, creation("PickyUser", &[])).await;
        // The constructor approved the relayer for the address at which it ran.
        self.provide(&[ETHFLOW]).await;
        let approve = cow::approveCall {
            spender: at::VAULT_RELAYER,
            value: U256::MAX,
        };
        self.execute(&[Transaction::call(ETHFLOW, WRAPPED_ETHER, &approve)])
            .await;
        self.request::<Value>("anvil_setBalance", json!([ETHFLOW, "0x0"])).await;
        EthFlow(self)
    }

    /// EthFlow, which [`ethflow`](Self::ethflow) has added to the chain.
    pub fn deployed_ethflow(&self) -> EthFlow<'_> {
        EthFlow(self)
    }
}

impl EthFlow<'_> {
    /// Creates an order of an account that pays for it, in a block of its own. Returns the receipt.
    ///
    /// # Panics
    ///
    /// If the contract refuses the order.
    pub async fn create(&self, user: Address, order: &EthFlowOrder) -> Value {
        let call = abi::createOrderCall { order: order.clone() };
        self.pay(user, ETHFLOW, &call, paid(order)).await
    }

    /// Creates an order of [`PICKY_USER`], which `sender` pays for. Returns the receipt.
    ///
    /// # Panics
    ///
    /// If the contract refuses the order.
    pub async fn create_picky(&self, sender: Address, order: &EthFlowOrder) -> Value {
        let call = abi::PickyUser::createOrderCall {
            ethflow: ETHFLOW,
            order: order.clone(),
        };
        self.pay(sender, PICKY_USER, &call, paid(order)).await
    }

    /// Calls a contract with ether, in a block of its own. Returns the receipt.
    async fn pay(&self, from: Address, to: Address, call: &impl SolCall, value: U256) -> Value {
        let transaction = json!([{
            "from": from,
            "to": to,
            "input": Bytes::from(call.abi_encode()),
            "value": value,
            "gas": U256::from(GAS),
        }]);
        let hash: B256 = self.0.request("eth_sendTransaction", transaction).await;
        self.0.mine(1).await;
        let receipt: Value = self.0.request("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }

    /// Settles a part of an order at its limit price. Returns the receipt.
    ///
    /// # Panics
    ///
    /// If the settlement fails.
    pub async fn settle(&self, order: &EthFlowOrder, sold: U256) -> Value {
        let account = self.0.account().await;
        self.0
            .execute(&[Transaction::call(account, ETHFLOW, &abi::wrapAllCall {})])
            .await;
        self.0.settle_part(ETHFLOW, &terms(order), &Bytes::new(), sold).await
    }

    /// The owner and `validTo` of an order, as the contract has them.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error.
    pub async fn order(&self, digest: B256) -> (Address, u32) {
        let order = self.0.read(ETHFLOW, &abi::ordersCall { digest }).await;
        (order.owner, order.validTo)
    }
}

/// The ether that an order costs, in wei.
fn paid(order: &EthFlowOrder) -> U256 {
    order.sellAmount + order.feeAmount
}

/// The terms of an order at the settlement.
pub fn terms(order: &EthFlowOrder) -> OrderTerms {
    OrderTerms {
        sell_token: WRAPPED_ETHER,
        buy_token: order.buyToken,
        receiver: Some(order.receiver),
        sell_amount: order.sellAmount,
        buy_amount: order.buyAmount,
        valid_to: FOREVER,
        app_data: order.appData.to_string(),
        fee_amount: order.feeAmount,
        kind: Kind::Sell,
        partially_fillable: order.partiallyFillable,
        sell_token_balance: TokenBalance::Erc20,
        buy_token_balance: TokenBalance::Erc20,
        quote_id: None,
    }
}
