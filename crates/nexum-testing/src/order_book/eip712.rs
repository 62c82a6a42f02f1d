//! The hashes of the settlement contract, and signers.
//!
//! They are computed from the contract's own types, so that they verify the library of a client.

use alloy_primitives::{Address, B256, FixedBytes, Signature, eip191_hash_message};
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain};

use super::{OrderTerms, OrderUid, SETTLEMENT, Scheme};

/// The signed types.
mod types {
    #![allow(missing_docs, unreachable_pub, clippy::all, reason = "made by a macro")]

    alloy_sol_types::sol! {
        struct Order {
            address sellToken;
            address buyToken;
            address receiver;
            uint256 sellAmount;
            uint256 buyAmount;
            uint32 validTo;
            bytes32 appData;
            uint256 feeAmount;
            string kind;
            bool partiallyFillable;
            string sellTokenBalance;
            string buyTokenBalance;
        }

        struct OrderCancellation {
            bytes orderUid;
        }

        struct OrderCancellations {
            bytes[] orderUids;
        }
    }
}

/// The digest of an order, which its owner signs.
pub(super) fn order_digest(terms: &OrderTerms, chain_id: u64) -> B256 {
    typed(terms).eip712_signing_hash(&domain(chain_id))
}

/// The digest that cancels one order with `DELETE /api/v1/orders/{UID}`.
pub(super) fn cancellation_digest(uid: &OrderUid, chain_id: u64) -> B256 {
    let cancellation = types::OrderCancellation {
        orderUid: uid.to_vec().into(),
    };
    cancellation.eip712_signing_hash(&domain(chain_id))
}

/// The digest that cancels several orders at once.
pub(super) fn cancellations_digest(uids: &[OrderUid], chain_id: u64) -> B256 {
    let cancellations = types::OrderCancellations {
        orderUids: uids.iter().map(|uid| uid.to_vec().into()).collect(),
    };
    cancellations.eip712_signing_hash(&domain(chain_id))
}

/// The UID from the digest, the owner and the end of an order.
pub(super) fn uid(digest: B256, owner: Address, valid_to: u32) -> OrderUid {
    let mut uid = [0; 56];
    uid[..32].copy_from_slice(digest.as_slice());
    uid[32..52].copy_from_slice(owner.as_slice());
    uid[52..].copy_from_slice(&valid_to.to_be_bytes());
    FixedBytes(uid)
}

/// The hash that a key signs for a digest; `None` for schemes without a key.
pub(super) fn prehash(scheme: Scheme, digest: B256) -> Option<B256> {
    match scheme {
        Scheme::Eip712 => Some(digest),
        Scheme::EthSign => Some(eip191_hash_message(digest)),
        Scheme::Eip1271 | Scheme::Presign => None,
    }
}

/// The signer of a digest by a key; `None` if the signature is invalid.
pub(super) fn signer(scheme: Scheme, digest: B256, signature: &[u8]) -> Option<Address> {
    let prehash = prehash(scheme, digest)?;
    let signature = Signature::from_raw(signature).ok()?;
    signature.recover_address_from_prehash(&prehash).ok()
}

fn typed(terms: &OrderTerms) -> types::Order {
    types::Order {
        sellToken: terms.sell_token,
        buyToken: terms.buy_token,
        receiver: terms.receiver.unwrap_or_default(),
        sellAmount: terms.sell_amount,
        buyAmount: terms.buy_amount,
        validTo: terms.valid_to,
        appData: terms.app_data_hash(),
        feeAmount: terms.fee_amount,
        kind: terms.kind.name().to_owned(),
        partiallyFillable: terms.partially_fillable,
        sellTokenBalance: terms.sell_token_balance.name().to_owned(),
        buyTokenBalance: terms.buy_token_balance.name().to_owned(),
    }
}

fn domain(chain_id: u64) -> Eip712Domain {
    eip712_domain! {
        name: "Gnosis Protocol",
        version: "v2",
        chain_id: chain_id,
        verifying_contract: SETTLEMENT,
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::b256;

    use super::*;

    #[test]
    fn agrees_with_the_constants_of_the_deployed_contract() {
        assert_eq!(
            typed(&OrderTerms::good()).eip712_type_hash(),
            b256!("d5a25ba2e97094ad7d83dc28a6572da797d6b3e7fc6663bd93efb789fc17e489")
        );
        assert_eq!(
            domain(1).separator(),
            b256!("c078f884a2676e1345748b1feace7b0abee5d00ecadb6e574dcdd109a63e8943")
        );
    }
}
