//! The orders of the demo, and the script of its blocks.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, U256};
use nexum_testing::cow::abi;
use nexum_testing::cow::{Answer, ConditionalOrder, CowChain, StopLoss, Transaction, Tree, Twap};
use nexum_testing::order_book::{OrderStatus, OrderUid, StoredOrder};
use nexum_testing::{Daemon, OrderBook};

use crate::refunds::{Refund, Refunds};

/// The time between two blocks on the chain, as on mainnet.
pub(crate) const BLOCK_S: u64 = 12;

/// The seconds from the creation of the orders to the first part.
const FIRST_PART_S: u64 = 2 * BLOCK_S;

/// The seconds from one part of the shortest TWAP to the next. An order book takes only parts with a
/// minute left.
const INTERVAL_S: u64 = 10 * BLOCK_S;

/// The seconds that orders with one part last.
const LASTING_S: u64 = 3_600;

/// The sold amount of the first order. Each order has its own, which tells the parts of one owner apart.
const SELL_AMOUNT: u64 = 1_000_000;

/// The block that makes the price of the stop-loss orders fall.
const PRICE_BLOCK: u64 = 12;

/// The blocks from the post of a part to its settlement.
const SETTLE_BLOCKS: u64 = 2;

/// The first kinds of orders. Further orders are TWAPs.
pub(crate) const MIX: [Kind; 9] = [
    Kind::Twap,
    Kind::Leaf,
    Kind::Leaf,
    Kind::GoodAfterTime,
    Kind::StopLoss,
    Kind::Endless,
    Kind::Unconfirmed,
    Kind::Removed,
    Kind::Wallet,
];

/// The kind of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Twap,
    /// A TWAP in a merkle tree.
    Leaf,
    GoodAfterTime,
    StopLoss,
    /// An order whose handler uses all its gas.
    Endless,
    /// A TWAP of a Safe that does not confirm its signatures.
    Unconfirmed,
    /// A TWAP that its owner removes after two parts.
    Removed,
    /// A TWAP of a wallet that is not a Safe.
    Wallet,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Twap => "twap",
            Self::Leaf => "twap, leaf",
            Self::GoodAfterTime => "good after time",
            Self::StopLoss => "stop loss",
            Self::Endless => "endless handler",
            Self::Unconfirmed => "twap, unconfirmed",
            Self::Removed => "twap, removed",
            Self::Wallet => "twap, wallet",
        }
    }
}

/// A part that the module is expected to post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The first second; `None` while only the chain decides it.
    pub(crate) from: Option<u64>,
    /// The last second.
    pub(crate) valid_to: u64,
}

/// A conditional order.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) kind: Kind,
    pub(crate) owner: Address,
    pub(crate) order: ConditionalOrder,
    pub(crate) sell_amount: u64,
    pub(crate) parts: Vec<Part>,
}

impl Watched {
    pub(crate) fn id(&self) -> B256 {
        self.order.id()
    }

    /// Whether the order book's order is a part of this one.
    pub(crate) fn has(&self, stored: &StoredOrder) -> bool {
        stored.owner == self.owner && stored.terms.sell_amount == U256::from(self.sell_amount)
    }
}

/// The chain, the order book and the orders.
pub(crate) struct Scene {
    chain: CowChain,
    book: OrderBook,
    oracle: Address,
    orders: Vec<Watched>,
    tree: Tree,
    /// The parts that the chain has settled.
    settled: BTreeSet<OrderUid>,
    refunds: Refunds,
    start: u64,
}

impl Scene {
    /// Starts the chain and the order book, and makes the owners. The first step creates the orders.
    pub(crate) async fn start(count: u64) -> Self {
        let chain = CowChain::start().await;
        let book = chain.order_book().await;
        let oracle = chain.oracle(2).await;
        let bought = chain.oracle(1).await;
        let safes = chain.safes(1, count).await;
        let wallet = chain.forwarder().await;
        let refunds = Refunds::deploy(&chain).await;
        let start = chain.timestamp() + 3 * BLOCK_S;
        let orders: Vec<Watched> = (0..count)
            .zip(&safes)
            .map(|(number, &safe)| {
                let kind = usize::try_from(number).ok().and_then(|number| MIX.get(number).copied());
                let kind = kind.unwrap_or(Kind::Twap);
                let owner = match kind {
                    // Leaves of one tree.
                    Kind::Leaf => safes[1],
                    Kind::Wallet => wallet,
                    _ => safe,
                };
                watched(kind, owner, number, start, [oracle, bought])
            })
            .collect();
        for unconfirmed in orders.iter().filter(|order| order.kind == Kind::Unconfirmed) {
            forget_verifier(&chain, unconfirmed.owner).await;
        }
        let leaves = orders.iter().filter(|order| order.kind == Kind::Leaf);
        let tree = Tree::new(leaves.map(|order| order.order.clone()).collect());
        Self {
            chain,
            book,
            oracle,
            orders,
            tree,
            settled: BTreeSet::new(),
            refunds,
            start,
        }
    }

    pub(crate) fn chain(&self) -> &CowChain {
        &self.chain
    }

    pub(crate) fn book(&self) -> &OrderBook {
        &self.book
    }

    pub(crate) fn orders(&self) -> &[Watched] {
        &self.orders
    }

    pub(crate) fn settled(&self) -> &BTreeSet<OrderUid> {
        &self.settled
    }

    /// The orders that sell ether, as the module `ethflow` sees them.
    pub(crate) fn refunds(&self) -> &[Refund] {
        self.refunds.told()
    }

    pub(crate) async fn ask_refunds(&mut self, daemon: &Daemon) {
        self.refunds.ask(daemon).await;
    }

    /// The time of the newest block, in seconds.
    pub(crate) fn now(&self) -> u64 {
        self.chain.timestamp()
    }

    /// Mines the block of the script with this number. Returns its number on the chain.
    pub(crate) async fn step(&mut self, number: u64) -> u64 {
        self.chain.set_next_timestamp(self.now() + BLOCK_S).await;
        if number == 1 {
            self.create().await;
        } else if number == PRICE_BLOCK {
            self.chain.set_price(self.oracle, 1).await;
            let now = self.now();
            for order in self.orders.iter_mut().filter(|order| order.kind == Kind::StopLoss) {
                order.parts[0].from = Some(now);
            }
        } else if let Some(at) = self.to_remove() {
            self.remove(at).await;
        } else if self.refunds.step(&self.chain, number).await {
            // The block is about an order that sells ether.
        } else if let Some(part) = self.to_settle() {
            self.settle(&part).await;
        } else {
            self.chain.mine(1).await;
        }
        self.chain.block_number().await
    }

    async fn create(&self) {
        let single = self.orders.iter().filter(|order| order.kind != Kind::Leaf);
        let single: Vec<_> = single.map(|order| (order.owner, order.order.clone())).collect();
        self.chain.create(&single).await;
        let leaf = self.orders.iter().find(|order| order.kind == Kind::Leaf);
        self.chain.set_root(leaf.expect("a leaf").owner, &self.tree).await;
    }

    /// The order that its owner removes now: in the middle of its second part.
    fn to_remove(&self) -> Option<usize> {
        let time = self.start + FIRST_PART_S + INTERVAL_S + INTERVAL_S / 2;
        let is_due = |order: &Watched| order.kind == Kind::Removed && order.parts.len() > 2 && self.now() >= time;
        self.orders.iter().position(is_due)
    }

    async fn remove(&mut self, at: usize) {
        let order = &mut self.orders[at];
        self.chain.remove(order.owner, &order.order).await;
        order.parts.truncate(2);
    }

    async fn settle(&mut self, part: &StoredOrder) {
        self.chain.settle(part.owner, &part.terms, &part.signature).await;
        self.book.settle(&part.uid);
        if self.chain.filled_amount(&part.uid).await == part.terms.sell_amount {
            self.settled.insert(part.uid);
        }
    }

    /// The next part for the solver, which takes every second one.
    fn to_settle(&self) -> Option<StoredOrder> {
        let orders = self.book.orders();
        let mut chosen = orders.into_iter().step_by(2);
        chosen.find(|order| {
            let age_s = self.now().saturating_sub(order.created_ms / 1_000);
            age_s >= SETTLE_BLOCKS * BLOCK_S && self.book.status(&order.uid) == Some(OrderStatus::Open)
        })
    }
}

/// The order with this number.
fn watched(kind: Kind, owner: Address, number: u64, start: u64, oracles: [Address; 2]) -> Watched {
    let sell_amount = SELL_AMOUNT + number;
    let first = start + FIRST_PART_S + BLOCK_S * (number % 5);
    let (order, parts) = match kind {
        Kind::GoodAfterTime => {
            let (start, end) = (first + INTERVAL_S / 2, first + LASTING_S);
            let order = ConditionalOrder::good_after_time(number, sell_amount, start, end);
            (order, vec![part(Some(start), end)])
        }
        Kind::StopLoss => {
            let valid_to = first + LASTING_S;
            let [oracle, bought] = oracles;
            let order = StopLoss {
                sell_amount,
                valid_to,
                oracle,
                bought,
            };
            (order.order(number), vec![part(None, valid_to)])
        }
        Kind::Endless => (ConditionalOrder::says(number, &Answer::Endless), Vec::new()),
        Kind::Removed => twap(sell_amount, start + FIRST_PART_S, 4, INTERVAL_S).with(number),
        Kind::Unconfirmed => (twap(sell_amount, first, 3, INTERVAL_S).with(number).0, Vec::new()),
        Kind::Twap | Kind::Leaf | Kind::Wallet => {
            let interval_s = INTERVAL_S + BLOCK_S * (number % 4);
            twap(sell_amount, first, 3 + number % 3, interval_s).with(number)
        }
    };
    Watched {
        kind,
        owner,
        order,
        sell_amount,
        parts,
    }
}

fn part(from: Option<u64>, valid_to: u64) -> Part {
    Part { from, valid_to }
}

fn twap(part_sell_amount: u64, start: u64, parts: u64, interval_s: u64) -> Twap {
    Twap {
        part_sell_amount,
        ..Twap::new(start, parts, interval_s)
    }
}

/// An order with its expected parts.
trait WithParts {
    fn with(&self, salt: u64) -> (ConditionalOrder, Vec<Part>);
}

impl WithParts for Twap {
    fn with(&self, salt: u64) -> (ConditionalOrder, Vec<Part>) {
        let parts = (0..self.parts).map(|k| part(Some(self.start + k * self.interval_s), self.valid_to(k)));
        (self.order(salt), parts.collect())
    }
}

/// Makes a Safe confirm no signature of a conditional order.
async fn forget_verifier(chain: &CowChain, safe: Address) {
    let forget = abi::setDomainVerifierCall {
        domainSeparator: chain.domain_separator().await,
        verifier: Address::ZERO,
    };
    chain.execute(&[Transaction::call(safe, safe, &forget)]).await;
}
