//! The leaves in the event of a root: `abi.encode(bytes[])`, from any sender.

use std::ops::Range;

/// The bytes of a word of the ABI.
const WORD: usize = 32;

/// A list of leaves, which reads one leaf at a time and copies none.
///
/// The ABI permits offsets that overlap, so that a small event could stand for a list of gigabytes.
/// Each leaf of this list begins after the end of the leaf before it, as all common encoders write them.
#[derive(Clone, Copy, Debug)]
pub struct Leaves<'a> {
    /// The data after the length of the list: the offsets of the leaves, and the leaves.
    body: &'a [u8],
    count: usize,
}

impl<'a> Leaves<'a> {
    /// `None`: the data is no list.
    pub fn read(data: &'a [u8]) -> Option<Self> {
        let start = number(data, 0)?;
        let count = number(data, start)?;
        let body = data.get(start.checked_add(WORD)?..)?;
        // Each leaf has an offset and a length.
        let least = count.checked_mul(2 * WORD)?;
        (least <= body.len()).then_some(Self { body, count })
    }

    /// The leaves from an index on. `None` is a leaf that is not in the data, or overlaps the leaf before
    /// it.
    pub fn from(self, index: usize) -> impl Iterator<Item = Option<&'a [u8]>> {
        (index..self.count).map(move |index| self.get(index))
    }

    fn get(&self, index: usize) -> Option<&'a [u8]> {
        let range = self.range(index)?;
        let free = match index.checked_sub(1) {
            None => self.count * WORD,
            Some(before) => self.range(before)?.end,
        };
        (range.start >= free + WORD).then_some(self.body.get(range)?)
    }

    /// The place of a leaf in the body.
    fn range(&self, index: usize) -> Option<Range<usize>> {
        let offset = number(self.body, index.checked_mul(WORD)?)?;
        let start = offset.checked_add(WORD)?;
        let end = start.checked_add(number(self.body, offset)?)?;
        (end <= self.body.len()).then_some(start..end)
    }
}

/// The word at a position, if it is a number of 32 bits.
fn number(data: &[u8], at: usize) -> Option<usize> {
    let word = data.get(at..at.checked_add(WORD)?)?;
    let (high, low) = word.split_last_chunk::<4>()?;
    high.iter().all(|byte| *byte == 0).then_some(())?;
    usize::try_from(u32::from_be_bytes(*low)).ok()
}
