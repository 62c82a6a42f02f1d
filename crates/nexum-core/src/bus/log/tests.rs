use std::num::NonZeroU64;

use nexum_config::topic::Finality;
use proptest::prelude::*;

use super::*;

fn hash(fork: u8, number: u64) -> BlockHash {
    let mut hash = [fork; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    hash
}

fn at(fork: u8, number: u64) -> Position {
    let hash = hash(fork, number);
    Position { number, hash }
}

fn topic() -> ChainTopic {
    ChainTopic {
        chain_id: 314,
        finality: Finality::Latest,
    }
}

fn append(log: &EventLog, block: Position, parent: Option<Position>) {
    let parent_hash = parent.map_or([0; 32], |parent| parent.hash);
    log.append(Advance::new(314, block, parent_hash, 0));
}

/// A log of these blocks. The first `seeded` are known from before the first append.
fn log_of(chain: &[Position], seeded: usize) -> EventLog {
    let log = EventLog::new(topic());
    log.seed(&chain[..seeded]);
    for (index, block) in chain.iter().enumerate().skip(seeded) {
        append(&log, *block, index.checked_sub(1).map(|parent| chain[parent]));
    }
    log
}

/// Reads the log as a runner does, from a stored block or from a first number. `chain` is what the source replays. Returns the
/// blocks that stay after all reverts, without `last`.
fn read(log: &EventLog, chain: &[Position], mut last: Option<Position>, start: u64) -> Vec<Position> {
    let mut read: Vec<Position> = Vec::new();
    let mut sequence = None;
    loop {
        let next = match sequence {
            Some(sequence) => Resume::At(sequence),
            None => last.map_or_else(|| log.begin(start), |last| log.resume(last)),
        };
        match next {
            Resume::Pending => return read,
            Resume::Replay(numbers) => {
                let blocks = chain.iter().filter(|block| numbers.contains(&block.number));
                let count = read.len();
                read.extend(blocks);
                let below = chain.iter().rfind(|block| block.number < *numbers.start()).copied();
                let through = read[count..].last().copied().or(below);
                assert_ne!(through, last, "the replay of {numbers:?} leads nowhere");
                last = through;
            }
            Resume::At(at) => match log.read(at) {
                ReadResult::Entry(LogEntry::Advance(routed)) => {
                    read.push(routed.block.position);
                    sequence = Some(at + 1);
                }
                ReadResult::Entry(LogEntry::Revert(to)) => {
                    read.retain(|block| block.number <= to.number);
                    sequence = Some(at + 1);
                }
                ReadResult::Pending => return read,
                other => panic!("{other:?}"),
            },
            Resume::Revert(to) => {
                read.retain(|block| block.number <= to.number);
                last = Some(to);
            }
            other => panic!("{other:?} after {last:?}"),
        }
    }
}

/// A chain whose numbers are so far apart.
fn chain(fork: u8, first: u64, distances: &[u64]) -> Vec<Position> {
    let numbers = distances.iter().scan(first, |number, distance| {
        *number += distance;
        Some(at(fork, *number))
    });
    numbers.collect()
}

#[test]
fn a_missing_number_is_passed_and_not_waited_for() {
    let chain = [at(0, 10), at(0, 11), at(0, 14), at(0, 15)];
    let log = log_of(&chain, 1);
    assert_eq!(log.resume(at(0, 11)), Resume::At(1));
    assert_eq!(log.resume(at(0, 10)), Resume::At(0));
    assert_eq!(log.begin(12), Resume::At(1));
    assert_eq!(log.begin(13), Resume::At(1));
    assert_eq!(log.begin(16), Resume::Pending);
    assert_eq!(log.hash_at(12), None);
    assert_eq!(log.at_or_below(13), Some(at(0, 11)));
    assert_eq!(log.blocks(12..=15).len(), 2);
    // A block of another fork whose number is in the gap.
    assert_eq!(log.resume(at(1, 13)), Resume::Diverged(at(0, 11)));
}

#[test]
fn the_oldest_block_of_a_log_continues_its_parent_across_a_gap() {
    let log = EventLog::new(topic());
    append(&log, at(0, 20), Some(at(0, 17)));
    assert_eq!(log.resume(at(0, 17)), Resume::At(0));
    // The log does not know whether 18 and 19 have blocks.
    assert_eq!(log.resume(at(0, 16)), Resume::Replay(17..=19));
    assert_eq!(log.resume(at(1, 17)), Resume::Replay(18..=19));
    assert_eq!(log.begin(18), Resume::Replay(18..=19));
}

#[test]
fn a_reorganisation_across_a_gap_is_reverted_to_the_block_below_it() {
    let chain = [at(0, 10), at(0, 13), at(0, 14)];
    let log = log_of(&chain, 1);
    log.revert(at(0, 10));
    append(&log, at(1, 12), Some(at(0, 10)));
    assert_eq!(log.resume(at(0, 14)), Resume::Revert(at(0, 10)));
    assert_eq!(log.resume(at(0, 13)), Resume::Revert(at(0, 10)));
    assert_eq!(log.resume(at(0, 10)), Resume::At(3));
    assert_eq!(log.head(), Some(at(1, 12)));
}

#[test]
fn confirmations_count_blocks_and_not_numbers() {
    let log = log_of(&[at(0, 10), at(0, 13), at(0, 14), at(0, 20)], 2);
    assert_eq!(
        [0, 1, 2, 3, 5, 13, 14].map(|count| log.followed_by(count)),
        [Some(20), Some(14), Some(13), Some(10), Some(8), Some(0), None]
    );
    assert_eq!(EventLog::new(topic()).followed_by(NonZeroU64::MIN.get()), None);
}

proptest! {
    #[test]
    fn each_block_is_read_once_and_in_order_from_any_place(
        distances in prop::collection::vec(prop_oneof![4 => Just(1_u64), 1 => 2..50_u64], 2..1_300),
        seeded in 0..40_usize,
        place in any::<prop::sample::Index>(),
        off in 0..60_u64,
    ) {
        let chain = chain(0, 5, &distances);
        let log = log_of(&chain, seeded.min(chain.len() - 1));
        let place = place.index(chain.len());
        prop_assert_eq!(read(&log, &chain, Some(chain[place]), 0), &chain[place + 1..]);
        let start = chain[place].number.saturating_sub(off).max(chain[0].number);
        let expected: Vec<_> = chain.iter().copied().filter(|block| block.number >= start).collect();
        prop_assert_eq!(read(&log, &chain, None, start), expected);
    }

    #[test]
    fn a_reader_of_any_fork_ends_on_the_canonical_chain(
        old in prop::collection::vec(1..5_u64, 2..60),
        forks in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(1..5_u64, 1..20)), 1..6),
        place in any::<prop::sample::Index>(),
    ) {
        let mut canonical = chain(0, 5, &old);
        let log = log_of(&canonical, 1);
        let mut seen = canonical.clone();
        for (fork, (kept, distances)) in (1..).zip(&forks) {
            let kept = kept.index(canonical.len());
            canonical.truncate(kept + 1);
            log.revert(canonical[kept]);
            for block in chain(fork, canonical[kept].number, distances) {
                append(&log, block, canonical.last().copied());
                canonical.push(block);
                seen.push(block);
            }
        }
        let last = seen[place.index(seen.len())];
        let mut reader: Vec<_> = canonical.iter().copied().filter(|block| block.number <= last.number).collect();
        let is_canonical = reader.last() == Some(&last);
        let after = read(&log, &canonical, Some(last), 0);
        if is_canonical {
            reader.extend(after);
            prop_assert_eq!(reader, canonical);
        } else {
            prop_assert!(canonical.ends_with(&after));
        }
    }
}
