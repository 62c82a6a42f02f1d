//! Rows as they lie in sled's tree.
//!
//! A large value is cut into chunks, each a record of its own: what is larger than a part of a segment sled puts into a file
//! beside its log, which it does not sync, and if that file cannot be written it waits for ever when it is closed.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::sled::{Batch, Db};
use nexum_core::BoxError;
use nexum_core::store::{self, Range, Visit};

/// The unit in which sled's log grows. A quarter of it goes into the log whole: a leaf of the tree, which has up to 17 records of
/// a chunk and a key each, and an inner node, which has up to 257 keys.
pub(super) const SEGMENT_BYTES: usize = 4 << 20;

/// How large a value may be to be one record, and the size of a chunk.
const CHUNK_BYTES: usize = 16 << 10;

const _: () = {
    const RECORD_BYTES: usize = store::KEY_BYTES_MAX + 64;
    assert!(17 * (CHUNK_BYTES + RECORD_BYTES) < SEGMENT_BYTES / 8);
    assert!(257 * RECORD_BYTES < SEGMENT_BYTES / 4);
};

/// A key -> [`WHOLE`] and the value, or [`CUT`] and the value's length.
const ROW: u8 = b'r';
/// A key's length, the key, the number of a chunk -> the chunk.
const CHUNK: u8 = b'c';
/// The first byte after all rows.
const AFTER_ROWS: u8 = ROW + 1;

/// The value follows.
const WHOLE: u8 = 0;
/// The value's length follows, in eight bytes; the value is in chunks.
const CUT: u8 = 1;

/// The rows of a tree.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    tree: Db,
    /// Whether a value may be in chunks, so that what replaces it has to look.
    has_chunks: Arc<AtomicBool>,
}

/// A record is not what this file writes.
#[derive(Debug, thiserror::Error)]
#[error("a record of the database is damaged")]
struct Damaged;

impl Rows {
    pub(super) fn new(tree: Db) -> Result<Self, BoxError> {
        let has_chunks = tree.scan_prefix([CHUNK]).next().transpose()?.is_some();
        Ok(Self {
            tree,
            has_chunks: Arc::new(AtomicBool::new(has_chunks)),
        })
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, BoxError> {
        match self.tree.get(row_key(key))? {
            Some(row) => self.value(key, &row).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn scan(&self, (from, to): Range<'_>, visit: &mut Visit<'_>) -> Result<(), BoxError> {
        let from = match from {
            Bound::Unbounded => Bound::Included(vec![ROW]),
            from => from.map(row_key),
        };
        let to = match to {
            Bound::Unbounded => Bound::Excluded(vec![AFTER_ROWS]),
            to => to.map(row_key),
        };
        for row in self.tree.range((from, to)) {
            let (key, row) = row?;
            let key = key.get(1..).ok_or(Damaged)?;
            let flow = match row.split_first() {
                Some((&WHOLE, value)) => visit(key, value),
                _ => visit(key, &self.value(key, &row)?),
            };
            if let ControlFlow::Break(()) = flow {
                break;
            }
        }
        Ok(())
    }

    /// Makes all of these changes, or none; they are in memory then.
    pub(super) fn apply(&self, changes: &store::Batch) -> Result<(), BoxError> {
        // Of several changes to a key the last one counts, and the chunks that it replaces are those before the first.
        let changes: BTreeMap<_, _> = changes.changes().collect();
        let mut batch = Batch::default();
        for (key, value) in changes {
            let mut chunks = 0;
            match value {
                Some(value) if value.len() <= CHUNK_BYTES => batch.insert(row_key(key), [&[WHOLE], value].concat()),
                Some(value) => {
                    let length = (value.len() as u64).to_be_bytes();
                    batch.insert(row_key(key), [&[CUT], &length[..]].concat());
                    for chunk in value.chunks(CHUNK_BYTES) {
                        batch.insert(chunk_key(key, chunks), chunk);
                        chunks += 1;
                    }
                }
                None => batch.remove(row_key(key)),
            }
            let before = self.chunks(key)?;
            (chunks..before).for_each(|chunk| batch.remove(chunk_key(key, chunk)));
            if chunks > 0 {
                self.has_chunks.store(true, Ordering::Relaxed);
            }
        }
        Ok(self.tree.apply_batch(batch)?)
    }

    /// Has everything written that was applied.
    pub(super) fn flush(&self) -> Result<(), BoxError> {
        self.tree.flush()?;
        Ok(())
    }

    /// How many chunks a key's value is in.
    fn chunks(&self, key: &[u8]) -> Result<u32, BoxError> {
        if !self.has_chunks.load(Ordering::Relaxed) {
            return Ok(0);
        }
        match self.tree.get(row_key(key))? {
            Some(row) if row.first() == Some(&CUT) => Ok(u32::try_from(length(&row)?.div_ceil(CHUNK_BYTES))?),
            _ => Ok(0),
        }
    }

    /// The value of a row.
    fn value(&self, key: &[u8], row: &[u8]) -> Result<Vec<u8>, BoxError> {
        if let Some((&WHOLE, value)) = row.split_first() {
            return Ok(value.to_vec());
        }
        let length = length(row)?;
        let mut value = Vec::new();
        let mut next = 0;
        while value.len() < length {
            let chunk = self.tree.get(chunk_key(key, next))?.ok_or(Damaged)?;
            value.extend_from_slice(&chunk);
            next += 1;
        }
        Ok(value)
    }
}

/// The length of a value that is in chunks.
fn length(row: &[u8]) -> Result<usize, BoxError> {
    match row.split_first() {
        Some((&CUT, length)) => Ok(usize::try_from(u64::from_be_bytes(length.try_into()?))?),
        _ => Err(Damaged.into()),
    }
}

fn row_key(key: &[u8]) -> Vec<u8> {
    [&[ROW], key].concat()
}

fn chunk_key(key: &[u8], number: u32) -> Vec<u8> {
    let length = (key.len() as u32).to_be_bytes();
    [&[CHUNK], &length[..], key, &number.to_be_bytes()].concat()
}
