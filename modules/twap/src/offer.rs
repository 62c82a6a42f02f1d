//! A discrete order that a poll gives.

use nexum_sdk::chain::CallRequest;
use nexum_sdk::cow::{self, Balance, Domain, Kind, SigningScheme, Uid};
use nexum_sdk::sol_types::{SolCall, SolValue};
use nexum_sdk::{Address, B256, Bytes, U256};

use crate::contracts::{OrderData, VALID_SIGNATURE, filledAmountCall, isValidSignatureCall};
use crate::verdict::Answer;

/// A discrete order with the names that the settlement has for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    pub digest: B256,
    pub uid: Uid,
    pub valid_to: u32,
    /// As the order book reads it.
    pub body: cow::Order,
}

impl Offer {
    /// The order of an owner. `None` if the settlement does not know a word of it.
    pub fn new(data: OrderData, signature: Bytes, owner: Address, domain: &Domain) -> Option<Self> {
        let digest = domain.digest(&data.abi_encode());
        let body = cow::Order {
            sell_token: data.sellToken,
            buy_token: data.buyToken,
            // The digest has the zero address, which means the owner.
            receiver: Some(data.receiver).filter(|receiver| !receiver.is_zero()),
            sell_amount: data.sellAmount,
            buy_amount: data.buyAmount,
            valid_to: data.validTo,
            app_data: data.appData.to_string(),
            app_data_hash: None,
            fee_amount: data.feeAmount,
            kind: Kind::from_word(data.kind)?,
            partially_fillable: data.partiallyFillable,
            sell_token_balance: Balance::from_word(data.sellTokenBalance)?,
            buy_token_balance: Balance::from_word(data.buyTokenBalance)?,
            signing_scheme: SigningScheme::Eip1271,
            signature,
            from: Some(owner),
            quote_id: None,
            full_balance_check: false,
        };
        Some(Self {
            digest,
            uid: cow::uid(digest, owner, data.validTo),
            valid_to: data.validTo,
            body,
        })
    }

    /// The questions about the order: whether its owner confirms the signature, and what is filled.
    pub fn questions(&self, settlement: Address) -> [CallRequest; 2] {
        let signature = isValidSignatureCall {
            digest: self.digest,
            signature: self.body.signature.clone(),
        };
        let filled = filledAmountCall { uid: self.uid.clone() };
        [
            CallRequest {
                to: self.body.from.unwrap_or_default(),
                data: signature.abi_encode().into(),
                from: Some(settlement),
                ..CallRequest::default()
            },
            CallRequest {
                to: settlement,
                data: filled.abi_encode().into(),
                ..CallRequest::default()
            },
        ]
    }

    /// The state of the order by the answers. `None` if one of them is missing.
    pub fn check(&self, signature: &Answer, filled: &Answer) -> Option<Check> {
        match filled {
            Answer::Returned(amount) if self.is_filled(amount) => return Some(Check::Filled),
            Answer::Unreachable(_) => return None,
            _ => {}
        }
        match signature {
            // The answer is a word that begins with the four bytes.
            Answer::Returned(word) if word.starts_with(&VALID_SIGNATURE) => Some(Check::Valid),
            Answer::Unreachable(_) => None,
            _ => Some(Check::InvalidSignature),
        }
    }

    /// Whether nothing is left of the order. A cancelled order has the largest amount.
    fn is_filled(&self, amount: &[u8]) -> bool {
        let whole = match self.body.kind {
            Kind::Sell => self.body.sell_amount,
            Kind::Buy => self.body.buy_amount,
        };
        let amount = <[u8; 32]>::try_from(amount).map(U256::from_be_bytes);
        amount.is_ok_and(|amount| amount >= whole && !amount.is_zero())
    }
}

/// The state of a discrete order before it is posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Valid,
    Filled,
    InvalidSignature,
}
