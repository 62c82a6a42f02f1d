//! What the modules must have kept, and whether they have.

use std::{collections::BTreeMap, fmt};

use super::canonical::{Block, Log};

/// What each module keeps: its keys, and their values.
pub(super) type Kept = BTreeMap<String, Keys>;

/// The keys of a module, and their values.
pub(super) type Keys = BTreeMap<Vec<u8>, Vec<u8>>;

/// The modules of a run, under the names that they have in it.
pub(super) const MODULES: [&str; 3] = ["counter", "log-sum", "journal"];

/// What modules keep that were told of these blocks, each once and in order, and of nothing else.
pub(super) fn of(blocks: &[Block]) -> Kept {
    let [counter, log_sum, journal] = MODULES.map(str::to_owned);
    let kept = [
        (counter, counter_of(blocks)),
        (log_sum, log_sum_of(blocks)),
        (journal, journal_of(blocks)),
    ];
    kept.into()
}

fn counter_of(blocks: &[Block]) -> Keys {
    let entry = |(count, block): (u64, &Block)| (key(format!("block-{count}")), block.number.to_string().into_bytes());
    let mut keys: Keys = (1..).zip(blocks).map(entry).collect();
    keys.insert(key("count"), little_endian(blocks.len() as u64));
    keys
}

fn log_sum_of(blocks: &[Block]) -> Keys {
    let numbers = || blocks.iter().flat_map(|block| &block.logs).map(|log| log.number);
    let count = numbers().count() as u64;
    if count == 0 {
        return Keys::new();
    }
    let sum = numbers().fold(0, u64::wrapping_add);
    [(key("count"), little_endian(count)), (key("sum"), little_endian(sum))].into()
}

fn journal_of(blocks: &[Block]) -> Keys {
    let entries = blocks.iter().flat_map(|block| {
        let log = |log: &Log| format!(" {}/{}/{}", block.number, log.index, log.transaction);
        let logs: String = block.logs.iter().map(log).collect();
        let logs = Some(logs)
            .filter(|logs| !logs.is_empty())
            .map(|logs| format!("logs{logs}"));
        logs.into_iter()
            .chain([format!("block {} {}", block.number, block.hash)])
    });
    let entry = |(index, entry): (u64, String)| (key(format!("{index:010}")), entry.into_bytes());
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

/// The first thing that a module keeps and should not, or should and does not.
#[derive(Debug, PartialEq)]
pub(super) struct Difference {
    module: String,
    key: Vec<u8>,
    kept: Option<Vec<u8>>,
    expected: Option<Vec<u8>>,
}

/// Compares what is kept with what should be.
pub(super) fn compare(kept: &Kept, expected: &Kept) -> Result<(), Box<Difference>> {
    let none = Keys::new();
    for module in MODULES {
        let [kept, expected] = [kept, expected].map(|all| all.get(module).unwrap_or(&none));
        let mut keys: Vec<_> = kept.keys().chain(expected.keys()).collect();
        keys.sort();
        if let Some(&key) = keys.iter().find(|key| kept.get(**key) != expected.get(**key)) {
            return Err(Box::new(Difference {
                module: module.to_owned(),
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

/// Text as it is, and anything else as hexadecimal digits.
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

    fn entry(module: &str, key: &str) -> String {
        let kept = of(&blocks());
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
        assert_eq!(of(&blocks())["journal"].len(), 6);
    }

    #[test]
    fn finds_any_entry_that_is_missing_changed_or_too_much() {
        let expected = of(&blocks());
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
        let (expected, mut handled) = (of(&blocks()), blocks());
        handled.push(handled[2].clone());
        assert!(compare(&of(&handled), &expected).is_err());
        handled.truncate(1);
        let difference = compare(&of(&handled), &expected).expect_err("a difference").to_string();
        assert_eq!(
            difference,
            "counter at the key block-2\n  keeps   nothing\n  should  1\n"
        );
    }
}
