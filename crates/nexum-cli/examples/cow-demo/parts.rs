//! The parts that the order book received.

use std::collections::BTreeMap;
use std::fmt;

use alloy_primitives::{Address, U256};
use nexum_testing::order_book::StoredOrder;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::scene::{BLOCK_S, Scene, Watched};

/// The start of a request that posts an order.
const POST: (&str, &str) = ("POST", "/api/v1/orders");

/// The posts and the orders of the order book.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    stored: Vec<StoredOrder>,
    /// The number of posts of each part.
    posts: BTreeMap<Terms, u64>,
    /// The requests that are read.
    requests: usize,
}

/// The terms that tell the parts of the demo apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terms {
    from: Address,
    #[serde(deserialize_with = "decimal")]
    sell_amount: U256,
    valid_to: u32,
}

impl Terms {
    /// The terms of the body of a post.
    fn of_post(body: &str) -> Option<Self> {
        serde_json::from_str(body).ok()
    }

    fn of_stored(stored: &StoredOrder) -> Self {
        Self {
            from: stored.owner,
            sell_amount: stored.terms.sell_amount,
            valid_to: stored.terms.valid_to,
        }
    }
}

fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<U256, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// The sums over all orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) posted: usize,
    pub(crate) settled: usize,
    pub(crate) refused: usize,
    pub(crate) twice: u64,
    pub(crate) missed: usize,
}

impl Parts {
    /// Reads the new requests and orders of the order book.
    pub(crate) fn read(&mut self, scene: &Scene) {
        let requests = scene.book().requests();
        for request in requests.iter().skip(self.requests) {
            if request.method == POST.0
                && request.path.ends_with(POST.1)
                && let Some(terms) = Terms::of_post(&request.body)
            {
                *self.posts.entry(terms).or_default() += 1;
            }
        }
        self.requests = requests.len();
        self.stored = scene.book().orders();
    }

    /// The parts of an order that the order book has stored, oldest first.
    pub(crate) fn of(&self, order: &Watched) -> Vec<&StoredOrder> {
        self.stored.iter().filter(|stored| order.has(stored)).collect()
    }

    /// The parts of an order that were due and are over, and that the order book has not stored.
    pub(crate) fn missed(&self, order: &Watched, now: u64) -> usize {
        let stored = self.of(order);
        let is_stored = |valid_to: u64| stored.iter().any(|stored| u64::from(stored.terms.valid_to) == valid_to);
        let is_over = |part: &&crate::scene::Part| part.from.is_some() && part.valid_to + BLOCK_S < now;
        order
            .parts
            .iter()
            .filter(is_over)
            .filter(|part| !is_stored(part.valid_to))
            .count()
    }

    pub(crate) fn totals(&self, scene: &Scene) -> Totals {
        // The module may post a refused part again.
        let stored = self.stored.iter().map(Terms::of_stored);
        let posts = stored.filter_map(|terms| self.posts.get(&terms));
        let repeated = posts.map(|count| count.saturating_sub(1));
        Totals {
            posted: self.stored.len(),
            settled: scene.settled().len(),
            refused: self.posts.len().saturating_sub(self.stored.len()),
            twice: repeated.sum(),
            missed: scene.orders().iter().map(|order| self.missed(order, scene.now())).sum(),
        }
    }
}

impl Totals {
    /// Whether the module posted each part that was due, and posted none twice.
    pub(crate) fn is_good(&self) -> bool {
        self.posted > 0 && self.twice == 0 && self.missed == 0
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            posted,
            settled,
            refused,
            twice,
            missed,
        } = self;
        write!(
            f,
            "parts: {posted} posted, {settled} settled, {refused} refused, {twice} posted twice, {missed} missed"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_with_equal_terms_are_equal() {
        let owner = Address::repeat_byte(7);
        let post = |amount: u64, signature: &str| {
            let body = serde_json::json!({
                "from": owner, "sellAmount": amount.to_string(), "validTo": 9, "signature": signature
            });
            Terms::of_post(&body.to_string())
        };
        let expected = Terms {
            from: owner,
            sell_amount: U256::ONE,
            valid_to: 9,
        };
        assert_eq!(post(1, "0x01"), Some(expected));
        assert_eq!(post(1, "0x02"), Some(expected));
        assert_ne!(post(2, "0x01"), Some(expected));
    }

    #[test]
    fn a_missed_or_repeated_part_fails_the_demo() {
        let good = Totals {
            posted: 3,
            settled: 1,
            refused: 1,
            ..Totals::default()
        };
        assert!(good.is_good());
        for bad in [
            Totals { twice: 1, ..good },
            Totals { missed: 1, ..good },
            Totals { posted: 0, ..good },
        ] {
            assert!(!bad.is_good(), "{bad}");
        }
        assert_eq!(
            good.to_string(),
            "parts: 3 posted, 1 settled, 1 refused, 0 posted twice, 0 missed"
        );
    }
}
