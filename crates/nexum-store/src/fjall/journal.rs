//! The batches of one of fjall's journals, and the bytes after the last whole batch.
//!
//! fjall 3.1.13 appends each batch with its entries: a start with the number of items and the batch's number,
//! the items, and an end with a checksum. Numbers increase. Zeros follow the last batch.
//!
//! nexum begins a batch only after the sync of the previous one, and opens the database again after a failure.
//! So at most one batch was not acknowledged: the last one. An incomplete batch at the end is removed. An
//! invalid batch before another one was acknowledged, so the journal is damaged.
//!
//! A whole batch inside the value of an incomplete batch can make a journal look damaged. nexum then refuses
//! the state, and removes nothing.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;

/// The last bytes of each batch.
const MAGIC: [u8; 4] = *b"FJL\x03";

/// The value, the tombstone and the weak tombstone: fjall's types of items.
const ITEM_TYPES: u8 = 3;

/// The only compression that nexum writes: none.
const UNCOMPRESSED: u8 = 0;

/// The bytes that the search for a later batch reads for each byte of the journal, at most. A module chooses
/// the bytes of values, and could make the search take hours.
const SEARCH_FACTOR: usize = 64;

/// The content of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The last whole batch, with its position in the journal.
    pub last: Option<Range<usize>>,
    /// The largest number of a batch.
    pub number: Option<u64>,
    /// The content after the last whole batch.
    pub rest: Rest,
}

/// The content of a journal after its last whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing, or zeros.
    Empty,
    /// A part of a batch, and no later batch.
    Incomplete,
    /// An invalid batch, which a later one follows.
    Damaged,
}

/// An attempt to read a batch.
enum Attempt {
    Whole {
        end: usize,
        number: u64,
    },
    /// All entries have the right form, and the checksum is wrong.
    Mismatch {
        end: usize,
    },
    Invalid,
}

impl Journal {
    /// Reads a journal. `after` is the largest number of a batch in earlier journals.
    pub fn read(bytes: &[u8], after: Option<u64>) -> Self {
        let mut journal = Self {
            last: None,
            number: after,
            rest: Rest::Empty,
        };
        let mut unlimited = usize::MAX;
        loop {
            let at = journal.end();
            match attempt(bytes, at, &mut unlimited) {
                Attempt::Whole { end, number } => {
                    journal.last = Some(at..end);
                    journal.number = journal.number.max(Some(number));
                }
                failed => {
                    journal.rest = rest(bytes, at, journal.number, &failed);
                    return journal;
                }
            }
        }
    }

    /// The end of the last whole batch.
    pub fn end(&self) -> usize {
        self.last.as_ref().map_or(0, |last| last.end)
    }
}

/// Judges the bytes from `at` on, which begin with no whole batch.
fn rest(bytes: &[u8], at: usize, number: Option<u64>, failed: &Attempt) -> Rest {
    if is_zero(&bytes[at..]) {
        return Rest::Empty;
    }
    let inside = match *failed {
        Attempt::Mismatch { end } if !is_zero(&bytes[end..]) => return Rest::Damaged,
        Attempt::Mismatch { end } => Some(end),
        Attempt::Whole { .. } | Attempt::Invalid => None,
    };
    let mut budget = bytes.len().saturating_mul(SEARCH_FACTOR);
    for from in at + 1..bytes.len() {
        if bytes[from] != START {
            continue;
        }
        if let Attempt::Whole { end, number: later } = attempt(bytes, from, &mut budget)
            && Some(later) > number
            // A wrong length in an invalid batch can make it seem to contain the later ones, up to the end of the last.
            && inside.is_none_or(|last| last == end)
        {
            return Rest::Damaged;
        }
        if budget == 0 {
            // nexum cannot exclude that a later batch follows.
            return Rest::Damaged;
        }
    }
    Rest::Incomplete
}

/// Compares parts, because most of a journal of 64 MiB is zeros.
fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4_096] = [0; 4_096];
    bytes.chunks(ZEROS.len()).all(|part| *part == ZEROS[..part.len()])
}

/// Reads the batch at a position. Subtracts the read bytes from the budget, and fails without budget.
fn attempt(bytes: &[u8], at: usize, budget: &mut usize) -> Attempt {
    let mut entries = Entries { bytes, at, budget };
    let Some((count, number)) = entries.start() else {
        return Attempt::Invalid;
    };
    let from = entries.at;
    for _ in 0..count {
        if entries.item().is_none() {
            return Attempt::Invalid;
        }
    }
    let items = from..entries.at;
    let Some(checksum) = entries.end() else {
        return Attempt::Invalid;
    };
    let end = entries.at;
    let is_whole = count > 0 && entries.pay(items.len()).is_some() && xxh3_64(&bytes[items]) == checksum;
    if is_whole {
        Attempt::Whole { end, number }
    } else {
        Attempt::Mismatch { end }
    }
}

/// Reads entries from a position on. Each method returns `None` if no entry of its kind is there.
struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
    budget: &'a mut usize,
}

impl Entries<'_> {
    fn start(&mut self) -> Option<(u32, u64)> {
        self.tag(START)?;
        Some((u32::from_le_bytes(self.array()?), u64::from_le_bytes(self.array()?)))
    }

    fn item(&mut self) -> Option<()> {
        let [tag] = self.array()?;
        if tag == CLEAR {
            return self.array::<8>().map(drop);
        }
        let [kind, compression] = self.array()?;
        let _keyspace: [u8; 8] = self.array()?;
        let key_bytes = u16::from_le_bytes(self.array()?);
        let value_bytes = u32::from_le_bytes(self.array()?);
        let written_bytes = u32::from_le_bytes(self.array()?);
        let is_item = tag == ITEM && kind < ITEM_TYPES && compression == UNCOMPRESSED && value_bytes == written_bytes;
        let content = usize::from(key_bytes).checked_add(usize::try_from(value_bytes).ok()?)?;
        let end = self.at.checked_add(content)?;
        (is_item && end <= self.bytes.len()).then(|| self.at = end)
    }

    fn end(&mut self) -> Option<u64> {
        self.tag(END)?;
        let checksum = u64::from_le_bytes(self.array()?);
        (self.array()? == MAGIC).then_some(checksum)
    }

    fn tag(&mut self, tag: u8) -> Option<()> {
        (self.array()? == [tag]).then_some(())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.pay(N)?;
        let found = self.bytes.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(*found)
    }

    fn pay(&mut self, bytes: usize) -> Option<()> {
        let left = self.budget.checked_sub(bytes);
        *self.budget = left.unwrap_or(0);
        left.map(drop)
    }
}
