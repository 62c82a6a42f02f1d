//! The digest and the UID of an order, as the settlement contract computes them.

use alloy_primitives::{Address, B256, address, b256, keccak256};
use alloy_sol_types::{Eip712Domain, SolValue, eip712_domain};

pub use abi::OrderData;

use super::{Balance, Kind, Uid};

/// The settlement contract of production, on all chains.
pub const SETTLEMENT: Address = address!("9008D19f58AAbD9eD0D60971565AA8510560ab41");

/// The hash of the type of an order: the signed words are strings in the type, and their hashes in
/// the struct of the contracts.
const ORDER_TYPE_HASH: B256 = b256!("d5a25ba2e97094ad7d83dc28a6572da797d6b3e7fc6663bd93efb789fc17e489");

/// The first bytes of a message of EIP-712.
const TYPED_DATA: [u8; 2] = [0x19, 0x01];

/// The lengths of the parts of a UID, in bytes.
const DIGEST_LEN: usize = 32;
const OWNER_LEN: usize = 20;

mod abi {
    #![allow(missing_docs, reason = "the macro writes no docs")]

    alloy_sol_types::sol! {
        /// An order as contracts have it: `GPv2Order.Data`.
        #[derive(Debug, PartialEq, Eq)]
        struct OrderData {
            address sellToken;
            address buyToken;
            address receiver;
            uint256 sellAmount;
            uint256 buyAmount;
            uint32 validTo;
            bytes32 appData;
            uint256 feeAmount;
            bytes32 kind;
            bool partiallyFillable;
            bytes32 sellTokenBalance;
            bytes32 buyTokenBalance;
        }
    }
}

/// The domain in which the orders of a settlement contract are signed.
pub fn domain(chain_id: u64, settlement: Address) -> Eip712Domain {
    eip712_domain! {
        name: "Gnosis Protocol",
        version: "v2",
        chain_id: chain_id,
        verifying_contract: settlement,
    }
}

impl OrderData {
    /// The hash that the owner signs, in a [`domain`].
    pub fn digest(&self, domain: &Eip712Domain) -> B256 {
        // Each field is one word, so that the encoding is that of EIP-712.
        let order = keccak256([ORDER_TYPE_HASH.as_slice(), &self.abi_encode()].concat());
        keccak256([TYPED_DATA.as_slice(), domain.separator().as_slice(), order.as_slice()].concat())
    }
}

/// The UID of an order.
pub fn uid(digest: B256, owner: Address, valid_to: u32) -> Uid {
    [digest.as_slice(), owner.as_slice(), &valid_to.to_be_bytes()]
        .concat()
        .into()
}

/// The digest, the owner and `valid_to` of a UID. `None` for bytes of another length.
pub fn split_uid(uid: &[u8]) -> Option<(B256, Address, u32)> {
    let (digest, rest) = uid.split_at_checked(DIGEST_LEN)?;
    let (owner, valid_to) = rest.split_at_checked(OWNER_LEN)?;
    Some((
        B256::try_from(digest).ok()?,
        Address::try_from(owner).ok()?,
        u32::from_be_bytes(valid_to.try_into().ok()?),
    ))
}

impl Kind {
    const ALL: [Self; 2] = [Self::Sell, Self::Buy];

    /// The hash that stands for the kind in [`OrderData`].
    pub const fn hash(self) -> B256 {
        match self {
            Self::Sell => b256!("f3b277728b3fee749481eb3e0b3b48980dbbab78658fc419025cb16eee346775"),
            Self::Buy => b256!("6ed88e868af0a1983e3886d5f3e95a2fafbd6c3450bc229e27342283dc429ccc"),
        }
    }

    /// The kind with this hash.
    pub fn of_hash(hash: B256) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.hash() == hash)
    }
}

impl Balance {
    const ALL: [Self; 3] = [Self::Erc20, Self::External, Self::Internal];

    /// The hash that stands for the balance in [`OrderData`].
    pub const fn hash(self) -> B256 {
        match self {
            Self::Erc20 => b256!("5a28e9363bb942b639270062aa6bb295f434bcdfc42c97267bf003f272060dc9"),
            Self::External => b256!("abee3b73373acd583a130924aad6dc38cfdc44ba0555ba94ce2ff63980ea0632"),
            Self::Internal => b256!("4ac99ace14ee0a5ef932dc609df0943ab7ac16b7583634612f8dc35a4289a6ce"),
        }
    }

    /// The balance with this hash.
    pub fn of_hash(hash: B256) -> Option<Self> {
        Self::ALL.into_iter().find(|balance| balance.hash() == hash)
    }
}
