//! The time and the random numbers of a trial.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nexum_config::names::Digest;
use parking_lot::Mutex;

use crate::clock::{Clock, Entropy, Seams};

/// The nanoseconds of a millisecond.
const NS_PER_MS: u64 = 1_000_000;

/// The moment at which a trial stands: the time of a block, and random numbers that follow from the event. Two trials
/// of one event have equal numbers. Clones share the moment.
#[derive(Clone, Debug, Default)]
pub struct Moment(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    ms: AtomicU64,
    random: Mutex<Random>,
}

/// Random numbers: the digests of a seed and a number.
#[derive(Debug, Default)]
struct Random {
    seed: Vec<u8>,
    number: u64,
    left: Vec<u8>,
}

impl Moment {
    /// Time and entropy for the [builder](crate::HostBuilder::new) of the module.
    pub fn seams(&self) -> Seams {
        Seams {
            clock: Arc::new(self.clone()),
            entropy: Arc::new(self.clone()),
        }
    }

    /// Moves to a time, in milliseconds since the Unix epoch, with new random numbers.
    pub(super) fn set(&self, ms: u64, seed: String) {
        self.0.ms.store(ms, Ordering::Relaxed);
        *self.0.random.lock() = Random {
            seed: seed.into_bytes(),
            ..Random::default()
        };
    }

    /// Makes these bytes the next random ones.
    pub(super) fn draw_first(&self, bytes: &[u8]) {
        self.0.random.lock().left = bytes.iter().rev().copied().collect();
    }
}

/// The clock stands still during a handler call.
impl Clock for Moment {
    fn now_ms(&self) -> u64 {
        self.0.ms.load(Ordering::Relaxed)
    }

    fn monotonic_ns(&self) -> u64 {
        self.now_ms().saturating_mul(NS_PER_MS)
    }
}

impl Entropy for Moment {
    fn fill(&self, buffer: &mut [u8]) {
        let mut random = self.0.random.lock();
        for byte in buffer {
            *byte = random.next();
        }
    }
}

impl Random {
    fn next(&mut self) -> u8 {
        loop {
            if let Some(byte) = self.left.pop() {
                return byte;
            }
            let digest = Digest::of(&[&self.number.to_be_bytes()[..], &self.seed].concat());
            self.left = digest.as_bytes().to_vec();
            self.number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_an_event_are_equal_in_each_trial() {
        let drawn = |seed: &str| {
            let moment = Moment::default();
            moment.set(7, seed.to_owned());
            let mut bytes = [0; 100];
            moment.fill(&mut bytes[..33]);
            moment.fill(&mut bytes[33..]);
            bytes
        };
        assert_eq!(drawn("one"), drawn("one"));
        assert_ne!(drawn("one"), drawn("two"));
        let bytes = drawn("one");
        assert_ne!(bytes[..32], bytes[32..64]);
    }
}
