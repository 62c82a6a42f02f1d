//! The expected state of the modules, and its comparison with the actual state.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
};

use super::canonical::{Block, Log};

/// The state of each module.
pub(super) type Kept = BTreeMap<String, Keys>;

/// The keys of one module, and their values.
pub(super) type Keys = BTreeMap<Vec<u8>, Vec<u8>>;

/// The modules of a run by name.
pub(super) const MODULES: [&str; 4] = ["counter", "log-sum", "journal", BOTH];

/// The guests of the modules.
pub(super) const GUESTS: [&str; 3] = ["counter", "log-sum", "journal"];

/// The module that subscribes to both chains.
pub(super) const BOTH: &str = "both";

/// The state of modules that handled the events of these chains' blocks exactly once and in order.
/// The state of [`BOTH`] has the order of [`untangled`].
pub(super) fn of([blocks, others]: [&[Block]; 2]) -> Kept {
    let [counter, log_sum, journal, both] = MODULES.map(str::to_owned);
    let kept = [
        (counter, counter_of(blocks)),
        (log_sum, log_sum_of(blocks)),
        (journal, journal_of(entries(blocks))),
        (both, journal_of(entries(blocks).chain(entries(others)))),
    ];
    kept.into()
}

/// Reorders the state of [`BOTH`]: the entries of the first chain come before the others. The order
/// within a chain is fixed, but the order between the chains is arbitrary.
pub(super) fn untangled(mut kept: Kept, first: &[Block]) -> Kept {
    kept.get_mut(BOTH).into_iter().for_each(|keys| untangle(keys, first));
    kept
}

/// Reorders the journal of a module that subscribes to two chains.
pub(super) fn untangle(keys: &mut Keys, first: &[Block]) {
    let of_first: HashSet<Vec<u8>> = entries(first).map(String::into_bytes).collect();
    let is_entry = |key: &[u8]| key.len() == INDEX_DIGITS && key.iter().all(u8::is_ascii_digit);
    let (indices, entries): (Vec<_>, Vec<_>) = keys
        .iter()
        .filter(|(key, _)| is_entry(key))
        .map(|(key, entry)| (key.clone(), entry.clone()))
        .unzip();
    let (of_first, of_other): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| of_first.contains(entry));
    keys.extend(indices.into_iter().zip(of_first.into_iter().chain(of_other)));
}

/// The number of digits in the key of a journal's entry.
const INDEX_DIGITS: usize = 10;

/// The state of the guest `counter` after these blocks.
pub(super) fn counter_of(blocks: &[Block]) -> Keys {
    let entry = |(count, block): (u64, &Block)| (key(format!("block-{count}")), block.number.to_string().into_bytes());
    let mut keys: Keys = (1..).zip(blocks).map(entry).collect();
    keys.insert(key("count"), little_endian(blocks.len() as u64));
    keys
}

/// The state of the guest `log-sum` after these blocks.
pub(super) fn log_sum_of(blocks: &[Block]) -> Keys {
    let numbers = || blocks.iter().flat_map(|block| &block.logs).map(|log| log.number);
    let count = numbers().count() as u64;
    if count == 0 {
        return Keys::new();
    }
    let sum = numbers().fold(0, u64::wrapping_add);
    [(key("count"), little_endian(count)), (key("sum"), little_endian(sum))].into()
}

/// The journal's entry for each event.
pub(super) fn entries(blocks: &[Block]) -> impl Iterator<Item = String> {
    blocks.iter().flat_map(|block| {
        let log = |log: &Log| format!(" {}/{}/{}", block.number, log.index, log.transaction);
        let logs: String = block.logs.iter().map(log).collect();
        let logs = Some(logs)
            .filter(|logs| !logs.is_empty())
            .map(|logs| format!("logs{logs}"));
        logs.into_iter()
            .chain([format!("block {} {}", block.number, block.hash)])
    })
}

/// The state of the guest `journal` with these entries.
pub(super) fn journal_of(entries: impl Iterator<Item = String>) -> Keys {
    let entry = |(index, entry): (u64, String)| (key(format!("{index:0INDEX_DIGITS$}")), entry.into_bytes());
    let mut keys: Keys = (0..).zip(entries).map(entry).collect();
    let count = keys.len() as u64;
    keys.insert(key("entries"), little_endian(count));
    keys
}

fn key(text: impl Into<String>) -> Vec<u8> {
    text.into().into_bytes()
}

fn little_endian(number: u64) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

/// The first difference between the actual and the expected state of a module.
#[derive(Debug, PartialEq)]
pub(super) struct Difference {
    module: String,
    key: Vec<u8>,
    kept: Option<Vec<u8>>,
    expected: Option<Vec<u8>>,
}

/// Compares the actual with the expected state.
pub(super) fn compare(kept: &Kept, expected: &Kept) -> Result<(), Box<Difference>> {
    let none = Keys::new();
    let modules: BTreeSet<&String> = expected.keys().chain(kept.keys()).collect();
    for module in modules {
        let [kept, expected] = [kept, expected].map(|all| all.get(module).unwrap_or(&none));
        let mut keys: Vec<_> = kept.keys().chain(expected.keys()).collect();
        keys.sort();
        if let Some(&key) = keys.iter().find(|key| kept.get(**key) != expected.get(**key)) {
            return Err(Box::new(Difference {
                module: module.clone(),
                key: key.clone(),
                kept: kept.get(key).cloned(),
                expected: expected.get(key).cloned(),
            }));
        }
    }
    Ok(())
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} at the key {}", self.module, text(&self.key))?;
        for (side, value) in [("keeps", &self.kept), ("should", &self.expected)] {
            let value = value.as_deref().map_or_else(|| "nothing".to_owned(), text);
            writeln!(f, "  {side:<8}{value}")?;
        }
        Ok(())
    }
}

/// Formats bytes: UTF-8 as text, and other bytes as hexadecimal digits.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && !text.contains(|c: char| c.is_control()) => text.to_owned(),
        _ => format!(
            "0x{}",
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> Vec<Block> {
        let log = |index, number| Log {
            index,
            transaction: format!("t{number}"),
            number,
        };
        let block = |number, logs| Block {
            number,
            hash: format!("h{number}"),
            logs,
        };
        vec![
            block(0, vec![]),
            block(1, vec![log(0, 5), log(1, 6)]),
            block(2, vec![log(3, 7)]),
        ]
    }

    /// Blocks of another chain.
    fn others() -> Vec<Block> {
        let block = |number| Block {
            number,
            hash: format!("o{number}"),
            logs: Vec::new(),
        };
        (0..2).map(block).collect()
    }

    fn all() -> Kept {
        of([&blocks(), &others()])
    }

    fn entry(module: &str, key: &str) -> String {
        let kept = all();
        text(kept[module].get(key.as_bytes()).expect("an entry"))
    }

    #[test]
    fn says_what_the_fixtures_keep() {
        assert_eq!(entry("counter", "block-3"), "2");
        assert_eq!(entry("counter", "count"), "0x0300000000000000");
        assert_eq!(entry("log-sum", "count"), "0x0300000000000000");
        assert_eq!(entry("log-sum", "sum"), "0x1200000000000000");
        let journal = (0..5).map(|index| entry("journal", &format!("{index:010}")));
        assert_eq!(
            journal.collect::<Vec<_>>(),
            [
                "block 0 h0",
                "logs 1/0/t5 1/1/t6",
                "block 1 h1",
                "logs 2/3/t7",
                "block 2 h2"
            ]
        );
        assert_eq!((all()["journal"].len(), all()[BOTH].len()), (6, 8));
        assert_eq!(entry(BOTH, "0000000005"), "block 0 o0");
    }

    #[test]
    fn finds_any_entry_that_is_missing_changed_or_too_much() {
        let expected = all();
        assert_eq!(compare(&expected, &expected), Ok(()));
        for (module, keys) in &expected {
            for key in keys.keys() {
                let changed = |change: &dyn Fn(&mut Keys)| {
                    let mut kept = expected.clone();
                    kept.get_mut(module).into_iter().for_each(change);
                    compare(&kept, &expected).expect_err("a difference")
                };
                let missing = changed(&|keys| drop(keys.remove(key)));
                assert_eq!((&missing.module, &missing.key, &missing.kept), (module, key, &None));
                let other = changed(&|keys| drop(keys.insert(key.clone(), b"other".to_vec())));
                assert_eq!((&other.module, &other.key), (module, key));
                let more = changed(&|keys| drop(keys.insert([key, &b"+"[..]].concat(), Vec::new())));
                assert_eq!((&more.module, &more.expected), (module, &None));
            }
        }
    }

    #[test]
    fn finds_a_block_that_was_handled_twice_or_not_at_all() {
        let (expected, mut handled) = (all(), blocks());
        handled.push(handled[2].clone());
        assert!(compare(&of([&handled, &others()]), &expected).is_err());
        handled.truncate(1);
        let difference = compare(&of([&handled, &others()]), &expected)
            .expect_err("a difference")
            .to_string();
        assert_eq!(
            difference,
            "both at the key 0000000001\n  keeps   block 0 o0\n  should  logs 1/0/t5 1/1/t6\n"
        );
    }

    #[test]
    fn does_not_mind_how_chains_are_tangled_and_minds_their_own_order() {
        let tangle = |order: &[usize]| {
            let (mut kept, straight) = (all(), all());
            let entry = |index: usize| straight[BOTH][format!("{index:010}").as_bytes()].clone();
            let keys = kept.get_mut(BOTH).expect("the module");
            for (place, index) in order.iter().enumerate() {
                keys.insert(key(format!("{place:010}")), entry(*index));
            }
            compare(&untangled(kept, &blocks()), &straight)
        };
        for order in [[0, 1, 2, 3, 4, 5, 6], [5, 6, 0, 1, 2, 3, 4], [0, 5, 1, 2, 6, 3, 4]] {
            assert_eq!(tangle(&order), Ok(()));
        }
        for order in [
            [0, 2, 1, 3, 4, 5, 6],
            [6, 5, 0, 1, 2, 3, 4],
            [0, 5, 1, 2, 5, 3, 4],
            [0, 0, 1, 2, 3, 5, 6],
        ] {
            assert!(tangle(&order).is_err(), "{order:?}");
        }
    }
}
