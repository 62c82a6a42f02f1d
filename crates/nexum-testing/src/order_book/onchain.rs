//! The questions of an order book to the chain.

use alloy_primitives::{Address, B256, Bytes, U256, address};
use serde_json::{Value, json};

use super::SETTLEMENT;
use super::creation::Creation;
use super::reply::Reply;
use super::scheme::Scheme;

/// The contract that takes the sold tokens from their owners.
const VAULT_RELAYER: Address = address!("c92e8bdf79f0507f65a392b0ab4667716bfe0110");

/// `isValidSignature(bytes32,bytes)`. A contract that accepts a signature returns the selector.
const IS_VALID_SIGNATURE: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

/// `balanceOf(address)`.
const BALANCE_OF: [u8; 4] = [0x70, 0xa0, 0x82, 0x31];

/// `allowance(address,address)`.
const ALLOWANCE: [u8; 4] = [0xdd, 0x62, 0xed, 0x3e];

/// `transferFrom(address,address,uint256)`.
const TRANSFER_FROM: [u8; 4] = [0x23, 0xb8, 0x72, 0xdd];

const WORD: usize = 32;

/// A node.
pub(super) struct OnChain<'a> {
    pub(super) client: &'a reqwest::Client,
    pub(super) url: &'a str,
}

impl OnChain<'_> {
    /// Asks the owner's contract with EIP-1271. A failed request counts as a refusal.
    pub(super) async fn accepts(&self, owner: Address, digest: B256, signature: &[u8]) -> bool {
        let mut input = IS_VALID_SIGNATURE.to_vec();
        input.extend(digest);
        input.extend(B256::from(U256::from(2 * WORD)));
        input.extend(B256::from(U256::from(signature.len())));
        input.extend(signature);
        input.resize(input.len() + (WORD - signature.len() % WORD) % WORD, 0);
        let result = self.call(None, owner, input).await;
        result.is_some_and(|result| result.len() == WORD && result.starts_with(&IS_VALID_SIGNATURE))
    }

    /// Checks that the relayer can take the sold tokens: the whole amount, or one atom for an order
    /// that can be filled in parts, unless it asks for the full check. An order that waits for its
    /// owner's transaction needs no tokens yet.
    pub(super) async fn check_transfer(&self, creation: &Creation, owner: Address) -> Result<(), Reply> {
        if creation.signing_scheme == Scheme::Presign {
            return Ok(());
        }
        let terms = &creation.terms;
        let amount = match terms.partially_fillable && !creation.full_balance_check {
            true => U256::ONE,
            false => terms.sell_amount,
        };
        let (token, word) = (terms.sell_token, |address: Address| address.into_word());
        let balance = self.number(token, &BALANCE_OF, &[word(owner)]).await;
        if balance < amount {
            let description = "the owner has too little of the sold token";
            return Err(Reply::error(400, "InsufficientBalance", description));
        }
        let allowance = self
            .number(token, &ALLOWANCE, &[word(owner), word(VAULT_RELAYER)])
            .await;
        if allowance < amount {
            let description = "the owner has not approved the relayer for the sold token";
            return Err(Reply::error(400, "InsufficientAllowance", description));
        }
        let input = input(&TRANSFER_FROM, &[word(owner), word(SETTLEMENT), amount.into()]);
        match self.call(Some(VAULT_RELAYER), token, input).await {
            Some(_) => Ok(()),
            None => {
                let description = "the transfer of the sold token reverts";
                Err(Reply::error(400, "TransferSimulationFailed", description))
            }
        }
    }

    /// The number that a contract returns; 0 if it returns none.
    async fn number(&self, to: Address, selector: &[u8; 4], words: &[B256]) -> U256 {
        let result = self.call(None, to, input(selector, words)).await.unwrap_or_default();
        match result.len() {
            WORD => U256::from_be_slice(&result),
            _ => U256::ZERO,
        }
    }

    /// The result of a call. `None` if it reverts or cannot be made.
    async fn call(&self, from: Option<Address>, to: Address, input: Vec<u8>) -> Option<Bytes> {
        let call = json!({ "from": from, "to": to, "data": Bytes::from(input) });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"] });
        let request = self
            .client
            .post(self.url)
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = request.send().await.ok()?.bytes().await.unwrap_or_default();
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        answer["result"].as_str()?.parse().ok()
    }
}

fn input(selector: &[u8; 4], words: &[B256]) -> Vec<u8> {
    let words = words.iter().flat_map(|word| word.0);
    selector.iter().copied().chain(words).collect()
}
