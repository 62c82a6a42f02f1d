//! Values that depend on a seed alone.

use alloy_primitives::{Address, B256, U256, keccak256};

/// An endless series of values, the same for the same seed.
pub(super) struct Draw {
    seed: u64,
    drawn: u64,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(super) fn word(&mut self) -> B256 {
        self.drawn += 1;
        keccak256([self.seed.to_be_bytes(), self.drawn.to_be_bytes()].concat())
    }

    pub(super) fn address(&mut self) -> Address {
        Address::from_word(self.word())
    }

    pub(super) fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    /// A number from 0 to `bound`, which is left out.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let low: [u8; 8] = self.word()[24..].try_into().expect("eight of 32 bytes");
        u64::from_be_bytes(low) % bound
    }

    /// An amount over zero, of any length that a `uint256` can have; the short ones are as likely as the long ones.
    pub(super) fn amount(&mut self) -> U256 {
        let bits = 255 - usize::try_from(self.below(255)).unwrap_or_default();
        (U256::from_be_bytes(self.word().0) >> (256 - bits)) | U256::ONE
    }
}
