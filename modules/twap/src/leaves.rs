//! Reads the leaves of a root without copying them.

use nexum_sdk::U256;

/// The bytes of each leaf of `abi.encode(bytes[])`, `None` for one beyond the end. The leaves are not
/// copied: a list can name one blob many times.
pub fn leaves(data: &[u8]) -> Option<impl Iterator<Item = Option<&[u8]>>> {
    let start = word(data, 0)?;
    let list = data.get(start.checked_add(WORD)?..)?;
    let count = word(data, start)?;
    let heads = list.get(..count.checked_mul(WORD)?)?;
    let leaf = move |head: &[u8]| {
        let at = word(head, 0)?;
        let length = word(list, at)?;
        let from = at.checked_add(WORD)?;
        list.get(from..from.checked_add(length)?)
    };
    Some(heads.chunks_exact(WORD).map(leaf))
}

const WORD: usize = 32;

/// The number in the word at an offset.
fn word(data: &[u8], at: usize) -> Option<usize> {
    let word = data.get(at..at.checked_add(WORD)?)?;
    U256::try_from_be_slice(word)?.try_into().ok()
}
