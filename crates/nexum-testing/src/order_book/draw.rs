//! Pseudo-random values that depend only on a seed.

use alloy_primitives::{Address, B256, U256, keccak256};

/// An endless series of values. Equal seeds give equal series.
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

    /// A number from 0 to `bound`, without `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let low: [u8; 8] = self.word()[24..].try_into().expect("eight of 32 bytes");
        u64::from_be_bytes(low) % bound
    }

    /// A positive amount with any length of a `uint256`. All lengths are equally likely.
    pub(super) fn amount(&mut self) -> U256 {
        let bits = 255 - usize::try_from(self.below(255)).unwrap_or_default();
        (U256::from_be_bytes(self.word().0) >> (256 - bits)) | U256::ONE
    }
}
