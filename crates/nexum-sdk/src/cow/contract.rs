//! How the settlement contract names orders: digests, UIDs, and the words of its order.

use alloy_primitives::{Address, B256, U256, address, b256, keccak256};

use super::{Balance, Kind, Uid};

/// The settlement contract of CoW Protocol, on every chain.
pub const SETTLEMENT: Address = address!("0x9008D19f58AAbD9eD0D60971565AA8510560ab41");

/// The first two bytes of a digest (EIP-712).
const PREFIX: [u8; 2] = [0x19, 0x01];

/// The hash of the name and the types of the fields of an order.
const ORDER_TYPE: B256 = b256!("0xd5a25ba2e97094ad7d83dc28a6572da797d6b3e7fc6663bd93efb789fc17e489");

const DOMAIN_TYPE: &[u8] = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";

/// The EIP-712 domain of a settlement contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain(B256);

impl Domain {
    /// The domain of a settlement contract on a chain, for example of [`SETTLEMENT`].
    pub fn new(chain_id: u64, settlement: Address) -> Self {
        let fields = [
            keccak256(DOMAIN_TYPE),
            keccak256(b"Gnosis Protocol"),
            keccak256(b"v2"),
            U256::from(chain_id).into(),
            settlement.into_word(),
        ];
        Self(keccak256(fields.concat()))
    }

    /// The separator: the hash of the domain.
    pub fn separator(&self) -> B256 {
        self.0
    }

    /// The digest of an order, which its owner signs. `order` is the ABI encoding of the contract's
    /// `GPv2Order.Data`: 12 words.
    pub fn digest(&self, order: &[u8]) -> B256 {
        let order = keccak256([ORDER_TYPE.as_slice(), order].concat());
        keccak256([&PREFIX, self.0.as_slice(), order.as_slice()].concat())
    }
}

/// The UID of the order with this digest.
pub fn uid(digest: B256, owner: Address, valid_to: u32) -> Uid {
    [digest.as_slice(), owner.as_slice(), &valid_to.to_be_bytes()]
        .concat()
        .into()
}

impl Kind {
    /// The kind of an order of the contract. `None` for any other word.
    pub fn from_word(word: B256) -> Option<Self> {
        const SELL: B256 = b256!("0xf3b277728b3fee749481eb3e0b3b48980dbbab78658fc419025cb16eee346775");
        const BUY: B256 = b256!("0x6ed88e868af0a1983e3886d5f3e95a2fafbd6c3450bc229e27342283dc429ccc");
        match word {
            SELL => Some(Self::Sell),
            BUY => Some(Self::Buy),
            _ => None,
        }
    }
}

impl Balance {
    /// The place of tokens of an order of the contract. `None` for any other word.
    pub fn from_word(word: B256) -> Option<Self> {
        const ERC20: B256 = b256!("0x5a28e9363bb942b639270062aa6bb295f434bcdfc42c97267bf003f272060dc9");
        const EXTERNAL: B256 = b256!("0xabee3b73373acd583a130924aad6dc38cfdc44ba0555ba94ce2ff63980ea0632");
        const INTERNAL: B256 = b256!("0x4ac99ace14ee0a5ef932dc609df0943ab7ac16b7583634612f8dc35a4289a6ce");
        match word {
            ERC20 => Some(Self::Erc20),
            EXTERNAL => Some(Self::External),
            INTERNAL => Some(Self::Internal),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_domain_and_the_words_of_the_contract() {
        let domain = Domain::new(11_155_111, SETTLEMENT);
        let separator = b256!("0xdaee378bd0eb30ddf479272accf91761e697bc00e067a268f95f1d2732ed230b");
        assert_eq!(domain.separator(), separator);
        for (word, kind) in [("sell", Kind::Sell), ("buy", Kind::Buy)] {
            assert_eq!(Kind::from_word(keccak256(word)), Some(kind));
        }
        for (word, balance) in [
            ("erc20", Balance::Erc20),
            ("external", Balance::External),
            ("internal", Balance::Internal),
        ] {
            assert_eq!(Balance::from_word(keccak256(word)), Some(balance));
        }
        assert_eq!(Kind::from_word(B256::ZERO), None);
        assert_eq!(Balance::from_word(keccak256("sell")), None);
        let uid = uid(B256::repeat_byte(1), Address::repeat_byte(2), 0x0304_0506);
        let expected = [&[1; 32][..], &[2; 20], &[3, 4, 5, 6]].concat();
        assert_eq!(uid[..], expected[..]);
    }
}
