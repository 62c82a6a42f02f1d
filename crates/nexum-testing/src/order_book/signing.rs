//! The owners of orders, and their signatures.

use alloy_primitives::{Address, B256, Bytes, Signature};
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};

use super::{OrderTerms, OrderUid, Scheme, eip712};
use crate::TEST_CHAIN_ID;
use crate::draw::Draw;

/// An owner of orders, with a key of its own. For [`Scheme::Eip1271`] its address stands for a contract.
#[derive(Clone, Debug)]
pub struct Trader {
    key: SigningKey,
    chain_id: u64,
}

impl Trader {
    /// The owner with this number, on the chain [`TEST_CHAIN_ID`]. A number always has one owner.
    pub fn new(number: u64) -> Self {
        Self::on_chain(number, TEST_CHAIN_ID)
    }

    /// The owner with this number, who signs for the given chain.
    ///
    /// # Panics
    ///
    /// For about one number in 2^128, whose key would be invalid.
    pub fn on_chain(number: u64, chain_id: u64) -> Self {
        let secret = Draw::new(number).word();
        let key = SigningKey::from_slice(secret.as_slice()).expect("a number in the range of keys");
        Self { key, chain_id }
    }

    /// The owner's address.
    pub fn address(&self) -> Address {
        Address::from_private_key(&self.key)
    }

    /// Signs an order.
    pub fn sign(&self, terms: &OrderTerms, scheme: Scheme) -> SignedOrder {
        let digest = eip712::order_digest(terms, self.chain_id);
        let signature = match scheme {
            Scheme::Eip712 | Scheme::EthSign => self.signature(scheme, digest),
            Scheme::Eip1271 => digest.0[..7].to_vec(),
            Scheme::Presign => Vec::new(),
        };
        SignedOrder {
            terms: terms.clone(),
            scheme,
            signature: signature.into(),
            owner: self.address(),
            digest,
        }
    }

    /// The body of `DELETE /api/v1/orders` that cancels these orders, signed as typed data.
    pub fn cancellation(&self, uids: &[OrderUid]) -> String {
        let digest = eip712::cancellations_digest(uids, self.chain_id);
        let mut body = self.cancellation_body(digest);
        body["orderUids"] = json!(uids);
        body.to_string()
    }

    /// The body of `DELETE /api/v1/orders/{UID}` that cancels this order.
    pub fn cancellation_of(&self, uid: &OrderUid) -> String {
        let digest = eip712::cancellation_digest(uid, self.chain_id);
        self.cancellation_body(digest).to_string()
    }

    fn cancellation_body(&self, digest: B256) -> Value {
        let signature = Bytes::from(self.signature(Scheme::Eip712, digest));
        json!({ "signature": signature, "signingScheme": Scheme::Eip712 })
    }

    fn signature(&self, scheme: Scheme, digest: B256) -> Vec<u8> {
        let prehash = eip712::prehash(scheme, digest).expect("a scheme with a key");
        let signed = self.key.sign_prehash_recoverable(prehash.as_slice());
        Signature::from(signed.expect("a hash can be signed"))
            .as_bytes()
            .to_vec()
    }
}

/// An order with its owner's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOrder {
    /// The terms of the order.
    pub terms: OrderTerms,
    /// The signing scheme.
    pub scheme: Scheme,
    /// The signature; empty for [`Scheme::Presign`].
    pub signature: Bytes,
    owner: Address,
    digest: B256,
}

impl SignedOrder {
    /// [`OrderTerms::good`], signed by the owner with this number.
    pub fn good(scheme: Scheme, trader: u64) -> Self {
        Trader::new(trader).sign(&OrderTerms::good(), scheme)
    }

    /// [`OrderTerms::random`]. The owner and the signing scheme depend on the seed as well.
    pub fn random(seed: u64) -> Self {
        let scheme = Scheme::ALL[usize::try_from(seed % 4).unwrap_or_default()];
        Trader::new(seed).sign(&OrderTerms::random(seed), scheme)
    }

    /// The owner.
    pub fn owner(&self) -> Address {
        self.owner
    }

    /// The signed digest.
    pub fn digest(&self) -> B256 {
        self.digest
    }

    /// The order's UID.
    pub fn uid(&self) -> OrderUid {
        eip712::uid(self.digest, self.owner, self.terms.valid_to)
    }

    /// The JSON of an `OrderCreation`, for tests that change it before they send it.
    pub fn to_json(&self) -> Value {
        let mut creation = json!(self.terms);
        creation["appDataHash"] = json!(self.terms.app_data_hash());
        creation["signingScheme"] = json!(self.scheme);
        creation["signature"] = json!(self.signature);
        creation["from"] = json!(self.owner);
        creation
    }

    /// The runtime code of a contract that accepts every signature of this order and of no other
    /// order. The owner of an order of [`Scheme::Eip1271`] needs this code if the order book asks
    /// the chain.
    pub fn wallet_code(&self) -> Bytes {
        const MAGIC_VALUE: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];
        let mut code = vec![0x7f];
        code.extend(self.digest);
        // Whether the first argument is the digest: 4 CALLDATALOAD EQ.
        code.extend([0x60, 4, 0x35, 0x14]);
        // Multiplies the result with the magic value in the four leftmost bytes: MUL, 224 SHL.
        code.push(0x63);
        code.extend(MAGIC_VALUE);
        code.extend([0x02, 0x60, 224, 0x1b]);
        // Stores the result at 0 and returns it: PUSH1 0 MSTORE, PUSH1 32 PUSH1 0 RETURN.
        code.extend([0x60, 0, 0x52, 0x60, 32, 0x60, 0, 0xf3]);
        code.into()
    }
}
