//! Numbered batches. A store that was interrupted must contain the first N batches completely, and
//! no others.

use nexum_core::store::{Batch, View};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::support::{Rows, rows};

/// The key of the last batch's number.
pub(crate) const NUMBER: &[u8] = b"n";

/// The number of keys.
const KEYS: u16 = 300;

/// The least growth of the store per batch, in bytes.
const GROWTH_BYTES: usize = 1_000;

/// The changes of a batch, which depend only on its number: usually a few, sometimes many,
/// sometimes large ones.
pub(crate) fn batch(number: u64) -> Batch {
    let mut random = SmallRng::seed_from_u64(number);
    let mut batch = Batch::default();
    let changes = if number.is_multiple_of(23) {
        200
    } else {
        random.random_range(1..12)
    };
    for _ in 0..changes {
        let key = [b"k", &random.random_range(0..KEYS).to_be_bytes()[..]].concat();
        let size = match random.random_range(0..100) {
            0 => random.random_range(0..60_000),
            1..5 => random.random_range(0..5_000),
            _ => random.random_range(0..200),
        };
        let value = random.random_bool(0.75).then(|| vec![number as u8; size]);
        batch.put(key, value);
    }
    // The store must grow, too.
    batch.set(
        [b"g", &number.to_be_bytes()[..]].concat(),
        vec![number as u8; GROWTH_BYTES],
    );
    batch.set(NUMBER.to_vec(), number.to_be_bytes().to_vec());
    batch
}

/// The number of the last batch in a store.
pub(crate) fn number(view: &dyn View) -> u64 {
    let number = view.get(NUMBER).expect("a readable store");
    number.map_or(0, |number| u64::from_be_bytes(number.try_into().expect("a number")))
}

/// The content of a store after a number of batches.
#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) number: u64,
    rows: Rows,
}

impl Model {
    pub(crate) fn advance(&mut self) {
        self.number += 1;
        for (key, value) in batch(self.number).changes() {
            match value {
                Some(value) => self.rows.insert(key.to_vec(), value.to_vec()),
                None => self.rows.remove(key),
            };
        }
    }

    /// Advances to the batch that the store has reached. That batch must be between the model's and
    /// `begun`, and the store must have exactly its content.
    pub(crate) fn follow(&mut self, view: &dyn View, begun: u64) {
        let found = number(view);
        assert!(
            (self.number..=begun).contains(&found),
            "{} batches were acknowledged, {begun} begun, and the store holds {found}",
            self.number
        );
        while self.number < found {
            self.advance();
        }
        assert!(
            rows(view) == self.rows,
            "the store does not hold {found} batches, whole"
        );
    }
}
