//! Pseudo-random values that depend only on a seed.

use alloy_primitives::{Address, B256, U256, keccak256};

/// An endless series of values. Equal seeds give equal series.
#[derive(Debug)]
pub(crate) struct Draw {
    seed: u64,
    drawn: u64,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(crate) fn word(&mut self) -> B256 {
        self.drawn += 1;
        keccak256([self.seed.to_be_bytes(), self.drawn.to_be_bytes()].concat())
    }

    pub(crate) fn address(&mut self) -> Address {
        Address::from_word(self.word())
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    /// A number from 0 to `bound`, without `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let low: [u8; 8] = self.word()[24..].try_into().expect("eight of 32 bytes");
        u64::from_be_bytes(low) % bound
    }

    /// A positive amount with any length of a `uint256`. All lengths are equally likely.
    pub(crate) fn amount(&mut self) -> U256 {
        let bits = 255 - usize::try_from(self.below(255)).unwrap_or_default();
        (U256::from_be_bytes(self.word().0) >> (256 - bits)) | U256::ONE
    }
}

/// The number of kinds of faults that [`Faulty`] chooses from.
const FAULT_KINDS: u64 = 4;

/// Chooses faults at random. The default chooses none.
#[derive(Debug, Default)]
pub(crate) struct Faulty {
    draw: Option<Draw>,
    percent: u64,
}

impl Faulty {
    /// Chooses this percentage of all requests.
    pub(crate) fn new(seed: u64, percent: u64) -> Self {
        Self {
            draw: Some(Draw::new(seed)),
            percent,
        }
    }

    /// The kind of the fault of the next request, from 0 to 3; `None` for no fault.
    pub(crate) fn next(&mut self) -> Option<u64> {
        let draw = self.draw.as_mut()?;
        (draw.below(100) < self.percent).then(|| draw.below(FAULT_KINDS))
    }
}
