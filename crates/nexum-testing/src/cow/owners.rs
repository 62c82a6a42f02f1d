//! The owners of conditional orders, and what they do.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent, SolValue};

use super::abi;
use super::addresses as at;
use super::chain::{CowChain, GAS, Transaction};
use super::conditional::ConditionalOrder;
use super::tree::Tree;

impl CowChain {
    /// Makes this many Safes whose handler accepts conditional orders, with tokens to sell and the
    /// allowance to sell them. `first` tells the Safes of several calls apart.
    ///
    /// # Panics
    ///
    /// If a transaction fails, or if the node is unreachable or responds with an error.
    pub async fn safes(&self, first: u64, count: u64) -> Vec<Address> {
        let account = self.account().await;
        let setup = abi::setupCall {
            owners: vec![account],
            threshold: U256::ONE,
            to: Address::ZERO,
            data: Bytes::new(),
            fallbackHandler: at::SAFE_HANDLER,
            paymentToken: Address::ZERO,
            payment: U256::ZERO,
            paymentReceiver: Address::ZERO,
        };
        let initializer = Bytes::from(setup.abi_encode());
        let transactions: Vec<_> = (first..first + count)
            .map(|number| {
                let create = abi::createProxyWithNonceCall {
                    singleton: at::SAFE,
                    initializer: initializer.clone(),
                    saltNonce: U256::from(number),
                };
                Transaction::call(account, at::SAFE_FACTORY, &create)
            })
            .collect();
        let receipts = self.execute(&transactions).await;
        let safes: Vec<_> = receipts.iter().map(created).collect();
        self.provide(&safes).await;
        let verify = abi::setDomainVerifierCall {
            domainSeparator: self.domain_separator().await,
            verifier: at::COMPOSABLE_COW,
        };
        let verifiers: Vec<_> = safes
            .iter()
            .map(|&safe| Transaction::call(safe, safe, &verify))
            .collect();
        self.execute(&verifiers).await;
        self.fund(&safes).await;
        safes
    }

    /// Makes one Safe, as [`safes`](Self::safes).
    ///
    /// # Panics
    ///
    /// As [`safes`](Self::safes).
    pub async fn safe(&self, number: u64) -> Address {
        self.safes(number, 1).await[0]
    }

    /// Makes a wallet that is not a Safe, and forwards signatures to the registry, with tokens to
    /// sell and the allowance to sell them.
    ///
    /// # Panics
    ///
    /// As [`safes`](Self::safes).
    pub async fn forwarder(&self) -> Address {
        let arguments = (at::COMPOSABLE_COW, self.domain_separator().await).abi_encode();
        let wallet = self.deploy(self.contracts().creation("Forwarder", &arguments)).await;
        self.provide(&[wallet]).await;
        self.fund(&[wallet]).await;
        wallet
    }

    /// Deploys a contract, and returns its address.
    ///
    /// # Panics
    ///
    /// As [`safes`](Self::safes).
    pub async fn deploy(&self, creation: Bytes) -> Address {
        let transaction = Transaction {
            from: self.account().await,
            to: None,
            input: creation,
            gas: GAS,
        };
        let receipt = &self.execute(&[transaction]).await[0];
        serde_json::from_value(receipt["contractAddress"].clone()).expect("an address")
    }

    /// Lets the vault relayer take all of an owner's tokens, or none.
    ///
    /// # Panics
    ///
    /// As [`safes`](Self::safes).
    pub async fn approve(&self, owner: Address, all: bool) {
        let approve = abi::approveCall {
            spender: at::VAULT_RELAYER,
            value: if all { U256::MAX } else { U256::ZERO },
        };
        self.execute(&[Transaction::call(owner, at::SELL_TOKEN, &approve)])
            .await;
    }

    /// Sets the contract that a Safe asks for signatures of the settlement's domain. The address 0 takes
    /// none.
    ///
    /// # Panics
    ///
    /// As [`safes`](Self::safes).
    pub async fn set_verifier(&self, safe: Address, verifier: Address) {
        let set = abi::setDomainVerifierCall {
            domainSeparator: self.domain_separator().await,
            verifier,
        };
        self.execute(&[Transaction::call(safe, safe, &set)]).await;
    }

    /// Gives these owners tokens to sell, and lets the vault relayer take them.
    ///
    /// # Panics
    ///
    /// As [`safes`](Self::safes).
    pub async fn fund(&self, owners: &[Address]) {
        let value = U256::from(u128::MAX);
        let both = owners.iter().flat_map(|&owner| {
            let mint = abi::mintCall { to: owner, value };
            let approve = abi::approveCall {
                spender: at::VAULT_RELAYER,
                value: U256::MAX,
            };
            [
                Transaction::call(owner, at::SELL_TOKEN, &mint),
                Transaction::call(owner, at::SELL_TOKEN, &approve),
            ]
        });
        self.execute(&both.collect::<Vec<_>>()).await;
    }

    /// Creates conditional orders in as few blocks as their gas permits, each with an event.
    ///
    /// # Panics
    ///
    /// As [`safes`](Self::safes).
    pub async fn create(&self, orders: &[(Address, ConditionalOrder)]) {
        let transactions: Vec<_> = orders.iter().map(|(owner, order)| creation(*owner, order)).collect();
        self.execute(&transactions).await;
    }

    /// Creates a conditional order whose context is the time of the block.
    ///
    /// # Panics
    ///
    /// As [`safes`](Self::safes).
    pub async fn create_with_context(&self, owner: Address, order: &ConditionalOrder) {
        let create = abi::createWithContextCall {
            params: order.params(),
            factory: at::TIMESTAMP_FACTORY,
            data: Bytes::new(),
            dispatch: true,
        };
        self.execute(&[Transaction::call(owner, at::COMPOSABLE_COW, &create)])
            .await;
    }

    /// Removes a conditional order. The contract emits nothing.
    ///
    /// # Panics
    ///
    /// As [`safes`](Self::safes).
    pub async fn remove(&self, owner: Address, order: &ConditionalOrder) {
        let remove = abi::removeCall { id: order.id() };
        self.execute(&[Transaction::call(owner, at::COMPOSABLE_COW, &remove)])
            .await;
    }

    /// Sets the tree of an owner's conditional orders. The event carries the proofs.
    ///
    /// # Panics
    ///
    /// As [`safes`](Self::safes).
    pub async fn set_root(&self, owner: Address, tree: &Tree) {
        let set = abi::setRootCall {
            root: tree.root(),
            proof: tree.emitted(),
        };
        self.with_much_gas(owner, &set).await;
    }

    /// As [`set_root`](Self::set_root), with the time of the block as the context of all leaves.
    ///
    /// # Panics
    ///
    /// As [`safes`](Self::safes).
    pub async fn set_root_with_context(&self, owner: Address, tree: &Tree) {
        let set = abi::setRootWithContextCall {
            root: tree.root(),
            proof: tree.emitted(),
            factory: at::TIMESTAMP_FACTORY,
            data: Bytes::new(),
        };
        self.with_much_gas(owner, &set).await;
    }

    /// Sets the swap guard of an owner; the address 0 removes it.
    ///
    /// # Panics
    ///
    /// As [`safes`](Self::safes).
    pub async fn set_swap_guard(&self, owner: Address, guard: Address) {
        let set = abi::setSwapGuardCall { swapGuard: guard };
        self.execute(&[Transaction::call(owner, at::COMPOSABLE_COW, &set)])
            .await;
    }

    /// The discrete order of a conditional one at the newest block with its signature, or the data
    /// with which the contract reverts.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with another error.
    pub async fn poll(&self, owner: Address, order: &ConditionalOrder) -> Result<(abi::Order, Bytes), Bytes> {
        self.poll_with_proof(owner, order, Vec::new()).await
    }

    /// As [`poll`](Self::poll), for the leaf of a tree at this index.
    ///
    /// # Panics
    ///
    /// As [`poll`](Self::poll).
    pub async fn poll_leaf(&self, owner: Address, tree: &Tree, index: usize) -> Result<(abi::Order, Bytes), Bytes> {
        self.poll_with_proof(owner, &tree.orders()[index], tree.proof(index))
            .await
    }

    async fn poll_with_proof(
        &self,
        owner: Address,
        order: &ConditionalOrder,
        proof: Vec<B256>,
    ) -> Result<(abi::Order, Bytes), Bytes> {
        let poll = abi::getTradeableOrderWithSignatureCall {
            owner,
            params: order.params(),
            offchainInput: Bytes::new(),
            proof,
        };
        let result = self.call(at::COMPOSABLE_COW, &poll.abi_encode()).await?;
        let found = abi::getTradeableOrderWithSignatureCall::abi_decode_returns(&result);
        let found = found.expect("an order and a signature");
        Ok((found.order, found.signature))
    }

    /// Calls the registry with all the gas of a block, because the event of a large tree needs most of
    /// it.
    async fn with_much_gas(&self, owner: Address, call: &impl SolCall) {
        let transaction = Transaction {
            gas: BLOCK_GAS,
            ..Transaction::call(owner, at::COMPOSABLE_COW, call)
        };
        self.execute(&[transaction]).await;
    }
}

/// The gas limit of anvil's blocks.
pub const BLOCK_GAS: u64 = 30_000_000;

/// The transaction that creates a conditional order, with an event.
pub fn creation(owner: Address, order: &ConditionalOrder) -> Transaction {
    let create = abi::createCall {
        params: order.params(),
        dispatch: true,
    };
    Transaction::call(owner, at::COMPOSABLE_COW, &create)
}

/// The Safe that the factory has made.
fn created(receipt: &serde_json::Value) -> Address {
    let logs = receipt["logs"].as_array().expect("logs");
    let topic = serde_json::json!(abi::ProxyCreation::SIGNATURE_HASH);
    let log = logs.iter().find(|log| log["topics"][0] == topic).expect("a new Safe");
    let word: B256 = serde_json::from_value(log["topics"][1].clone()).expect("a topic");
    Address::from_word(word)
}
