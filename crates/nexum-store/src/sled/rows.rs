//! The rows in sled's tree.
//!
//! A large value is cut into chunks, each in its own record. sled puts a record larger than a part
//! of a segment into a file beside its log, does not sync that file, and never finishes closing if
//! the file cannot be written.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::sled::{Batch, Db};
use nexum_core::BoxError;
use nexum_core::store::{self, Range, Visit};

/// The unit in which sled's log grows, in bytes. A quarter of it goes into the log as a whole: a
/// leaf of the tree, with up to 17 records of a chunk and a key each, or an inner node, with up to
/// 257 keys.
pub(super) const SEGMENT_BYTES: usize = 4 << 20;

/// The largest value in one record, and the size of a chunk, in bytes.
const CHUNK_BYTES: usize = 16 << 10;

const _: () = {
    const RECORD_BYTES: usize = store::KEY_BYTES_MAX + 64;
    assert!(17 * (CHUNK_BYTES + RECORD_BYTES) < SEGMENT_BYTES / 8);
    assert!(257 * RECORD_BYTES < SEGMENT_BYTES / 4);
};

/// Key -> [`WHOLE`] and the value, or [`CUT`] and the value's length.
const ROW: u8 = b'r';
/// Key's length, key, number of a chunk -> the chunk.
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
    /// Whether a value may be in chunks, so that a write must look for chunks to remove.
    has_chunks: Arc<AtomicBool>,
}

/// A record that this file does not write.
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

    /// Applies all of these changes to memory, or none.
    pub(super) fn apply(&self, changes: &store::Batch) -> Result<(), BoxError> {
        // The last of several changes to one key counts. It replaces the chunks from before the
        // first.
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

    /// Writes all applied changes.
    pub(super) fn flush(&self) -> Result<(), BoxError> {
        self.tree.flush()?;
        Ok(())
    }

    /// The number of chunks of a key's value.
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

/// The length of a value in chunks.
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
