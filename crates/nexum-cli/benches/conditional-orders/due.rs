//! Parts that are due at once.

use std::collections::BTreeSet;
use std::time::Duration;

use nexum_testing::bench::Figure;
use nexum_testing::cow::{ConditionalOrder, Twap};
use tokio::time::Instant;

use crate::public_tower;
use crate::setting::{Setting, UNLIMITED};

/// The parts.
const PARTS: u64 = 100;

/// The owners: an order book accepts ten open limit orders of each.
const OWNERS: u64 = 10;

/// The default rate of nexum's requests to an order book.
const REQUESTS_PER_SECOND: u32 = 5;

/// The time until the orders start, and the interval between their parts.
const WAIT_S: u64 = 3_600;
const INTERVAL_S: u64 = 3_600;

/// The aims in seconds: with the limit a tenth more than the limit alone takes.
const LIMITED_S_MAX: f64 = 22.0;
const UNLIMITED_S_MAX: f64 = 2.0;

/// The most blocks until all parts are posted. A block comes as soon as the module has handled the
/// one before it, and the module posts for up to five seconds in each.
const BLOCKS_MAX: usize = 100;

pub(crate) async fn figures() -> Vec<Figure> {
    let mut figures = measure("at the rate limit", REQUESTS_PER_SECOND, LIMITED_S_MAX).await;
    figures.extend(measure("without the rate limit", UNLIMITED, UNLIMITED_S_MAX).await);
    figures
}

async fn measure(limit: &str, requests_per_second: u32, goal: f64) -> Vec<Figure> {
    let setting = Setting::new(requests_per_second).await;
    let start = setting.chain.timestamp() + WAIT_S;
    let owners = setting.chain.safes(1, OWNERS).await;
    setting.create(&owners, PARTS, |number| twap(start, number)).await;
    let tower = setting.tower(PARTS).await;
    setting.chain.set_next_timestamp(start).await;
    let begin = Instant::now();
    for _ in 0..BLOCKS_MAX {
        setting.block(&tower.daemon).await;
        if setting.book.orders().len() as u64 == PARTS {
            break;
        }
    }
    let posts = Posts::of(&setting, begin);
    assert_eq!(setting.book.orders().len() as u64, PARTS, "all parts are posted");
    let name = format!("100 parts due at once, {limit}");
    vec![
        Figure::new(
            format!("{name}: requests to the order book"),
            "requests",
            f64::from(posts.requests),
            public_tower::DUE_REQUESTS,
        )
        .at_most(f64::from(u32::try_from(PARTS).expect("a small number"))),
        Figure::new(
            format!("{name}: repeated posts"),
            "posts",
            f64::from(posts.repeated),
            public_tower::DUE_REQUESTS,
        )
        .at_most(0.0),
        Figure::new(&name, "s", posts.last.as_secs_f64(), public_tower::DUE_S).at_most(goal),
    ]
}

/// A TWAP whose parts differ from those of the others, because discrete orders with equal terms are one.
fn twap(start: u64, number: u64) -> ConditionalOrder {
    let twap = Twap::new(start, 4, INTERVAL_S);
    let part_sell_amount = twap.part_sell_amount + number;
    Twap {
        part_sell_amount,
        ..twap
    }
    .order(number)
}

/// The requests that the order book received.
struct Posts {
    requests: u32,
    repeated: u32,
    /// From the request that mines the block to the arrival of the last post.
    last: Duration,
}

impl Posts {
    fn of(setting: &Setting, begin: Instant) -> Self {
        let requests = setting.book.requests();
        let bodies: Vec<_> = requests
            .iter()
            .filter(|request| request.method == "POST" && request.path.ends_with("/orders"))
            .map(|request| request.body.as_str())
            .collect();
        let distinct: BTreeSet<_> = bodies.iter().collect();
        let count = |number: usize| u32::try_from(number).expect("a small number");
        Self {
            requests: count(requests.len()),
            repeated: count(bodies.len() - distinct.len()),
            last: setting.last_request_at().duration_since(begin),
        }
    }
}
