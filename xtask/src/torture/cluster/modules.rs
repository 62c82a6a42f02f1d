//! The modules of a run, and the expected state of each.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Result;
use serde_json::Value;

use super::super::{
    CHAINS,
    canonical::Block,
    expected::{self, Kept, Keys, counter_of, entries, journal_of, log_sum_of},
    site,
};
use crate::paths;

/// The guests of the modules.
pub(super) const GUESTS: [&str; 4] = ["counter", "log-sum", "journal", "cow-submitter"];

/// The polling interval of HTTP endpoints.
const POLL_INTERVAL_MS: u64 = 100;

/// The first block with an order, and the distance to the next one. They are after the deepest reorganisation
/// of the first blocks, and come all along a minute.
const FIRST_ORDER: u64 = 140;
const BLOCKS_PER_ORDER: u64 = 12;

/// The orders of each module that posts orders.
pub(super) const ORDERS: usize = 16;

/// The task of a module, and its chains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Counter,
    LogSum,
    Journal,
    /// A journal of the second chain.
    Other,
    /// A journal of both chains.
    Both,
    /// Posts each order once, in the blocks of the first chain. Keeps nothing.
    Orders,
}

/// The number of modules of each kind: sixty together.
const COUNTS: [(Kind, usize); 6] = [
    (Kind::Counter, 10),
    (Kind::LogSum, 10),
    (Kind::Journal, 16),
    (Kind::Other, 10),
    (Kind::Both, 6),
    (Kind::Orders, 8),
];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::LogSum => "log-sum",
            Self::Journal => "journal",
            Self::Other => "other",
            Self::Both => "both",
            Self::Orders => "orders",
        }
    }

    fn guest(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::LogSum => "log-sum",
            Self::Journal | Self::Other | Self::Both => "journal",
            Self::Orders => "cow-submitter",
        }
    }

    /// The state of a module that handled the events of these chains' blocks exactly once and in order.
    fn keys([blocks, others]: [&[Block]; CHAINS.len()], kind: Self) -> Keys {
        match kind {
            Self::Counter => counter_of(blocks),
            Self::LogSum => log_sum_of(blocks),
            Self::Journal => journal_of(entries(blocks)),
            Self::Other => journal_of(entries(others)),
            Self::Both => journal_of(entries(blocks).chain(entries(others))),
            Self::Orders => Keys::new(),
        }
    }
}

/// The modules, each with its kind.
pub(super) fn all() -> Vec<(String, Kind)> {
    let of_kind = |(kind, count): (Kind, usize)| (0..count).map(move |number| (name(kind, number), kind));
    COUNTS.into_iter().flat_map(of_kind).collect()
}

/// The number of modules that post orders.
pub(super) fn traders() -> usize {
    all().iter().filter(|(_, kind)| *kind == Kind::Orders).count()
}

fn name(kind: Kind, number: usize) -> String {
    format!("{}-{number:02}", kind.name())
}

/// The expected state of all modules. A journal of both chains has the order of [`untangled`].
pub(super) fn expected(chains: [&[Block]; CHAINS.len()]) -> Kept {
    let keys = |(name, kind): (String, Kind)| (name, Kind::keys(chains, kind));
    all().into_iter().map(keys).collect()
}

/// Reorders the journals of both chains: the entries of the first chain come before the others.
pub(super) fn untangled(mut kept: Kept, first: &[Block]) -> Kept {
    for (name, kind) in all() {
        if kind == Kind::Both
            && let Some(keys) = kept.get_mut(&name)
        {
            expected::untangle(keys, first);
        }
    }
    kept
}

/// The number of orders that are due when a chain has this head.
pub(super) fn orders_due(head: u64) -> usize {
    let blocks = (head + 1).saturating_sub(FIRST_ORDER);
    usize::try_from(blocks.div_ceil(BLOCKS_PER_ORDER)).map_or(ORDERS, |due| due.min(ORDERS))
}

/// Writes the manifests, and returns the configuration of the chains, the order book and the modules.
pub(super) fn write(
    directory: &Path,
    urls: &[String; CHAINS.len()],
    emitters: [&str; CHAINS.len()],
    book: &str,
    orders: &[Vec<Value>],
) -> Result<String> {
    let mut text = format!(
        "[cow]\nrequests_per_second = 10_000\n[cow.{}]\nbase_url = \"{book}\"\n\n",
        CHAINS[0]
    );
    for (chain, url) in CHAINS.into_iter().zip(urls) {
        writeln!(
            text,
            "[chains.{chain}]\nrpc_url = \"{url}\"\npoll_interval_ms = {POLL_INTERVAL_MS}\n"
        )?;
    }
    let chains: Vec<_> = CHAINS.into_iter().zip(emitters).collect();
    let mut orders = orders.iter();
    for (name, kind) in all() {
        let manifest = directory.join(format!("{name}.toml"));
        let chains = match kind {
            Kind::Both => &chains[..],
            Kind::Other => &chains[1..],
            _ => &chains[..1],
        };
        fs::write(&manifest, site::manifest_toml(&name, kind.guest(), chains))?;
        let component = paths::built_modules()
            .join(kind.guest())
            .join(format!("{}.wasm", kind.guest()));
        let (component, manifest) = (site::quote(&component), site::quote(&manifest));
        writeln!(
            text,
            "[[modules]]\nname = \"{name}\"\npath = {component}\nmanifest = {manifest}"
        )?;
        if kind == Kind::Orders {
            text += "[modules.config]\nlog = \"none\"\n";
            for (at, order) in orders_at().zip(orders.next().into_iter().flatten()) {
                writeln!(text, "\"order.{at}\" = '{order}'")?;
            }
        }
        text.push('\n');
    }
    Ok(text)
}

/// The blocks with an order.
fn orders_at() -> impl Iterator<Item = u64> {
    (FIRST_ORDER..).step_by(BLOCKS_PER_ORDER as usize).take(ORDERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_sixty_modules_with_different_names() {
        let mut names: Vec<_> = all().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 60);
        names.dedup();
        assert_eq!(names.len(), 60);
    }

    #[test]
    fn an_order_is_due_from_its_block_on() {
        for (index, at) in orders_at().enumerate() {
            assert_eq!(orders_due(at - 1), index);
            assert_eq!(orders_due(at), index + 1);
        }
        assert_eq!(orders_due(u64::MAX - 1), ORDERS);
    }

    #[test]
    fn expects_of_each_module_what_its_chains_have() {
        let block = |number, hash: &str| Block {
            number,
            hash: hash.to_owned(),
            logs: Vec::new(),
        };
        let (first, other) = (vec![block(0, "a"), block(1, "b")], vec![block(0, "c")]);
        let expected = expected([&first, &other]);
        let entries = |name: &str| expected[name].len();
        assert_eq!(expected.len(), 60);
        assert_eq!(
            (entries("journal-00"), entries("other-00"), entries("both-00")),
            (3, 2, 4)
        );
        assert_eq!(
            (entries("counter-00"), entries("orders-00"), entries("log-sum-00")),
            (3, 0, 0)
        );
    }

    #[test]
    fn finds_a_block_that_is_lost_doubled_or_out_of_order() {
        let block = |number| Block {
            number,
            hash: format!("h{number}"),
            logs: Vec::new(),
        };
        let others = || -> Vec<Block> { (10..14).map(block).collect() };
        let first: Vec<Block> = (0..4).map(block).collect();
        let good = expected([&first, &others()]);
        let judge = |first: &[Block], others: &[Block]| {
            let kept = untangled(expected([first, others]), first);
            expected::compare(&kept, &good)
        };
        judge(&first, &others()).expect("no difference");
        for wrong in [
            vec![0, 1, 3],
            vec![0, 1, 1, 2, 3],
            vec![0, 2, 1, 3],
            vec![0, 1, 2, 3, 3],
        ] {
            let of_first: Vec<Block> = wrong.iter().copied().map(block).collect();
            assert!(judge(&of_first, &others()).is_err(), "{wrong:?}");
            let of_others: Vec<Block> = wrong.iter().map(|number| block(number + 10)).collect();
            assert!(judge(&first, &of_others).is_err(), "{wrong:?}");
        }
        // Chains may be tangled in a journal of both.
        let mut tangled = good.clone();
        let keys = tangled.get_mut("both-00").expect("the module");
        let [last, next] = [3, 4].map(|index| format!("{index:010}").into_bytes());
        let (before, after) = (keys[&last].clone(), keys[&next].clone());
        keys.extend([(last, after), (next, before)]);
        assert!(expected::compare(&tangled, &good).is_err());
        expected::compare(&untangled(tangled, &first), &good).expect("no difference");
    }
}
