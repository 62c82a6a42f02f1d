//! Frames: rows as bytes.
//!
//! | bytes | content |
//! |---|---|
//! | 4 | [`MAGIC`], or [`MAGIC_1`] |
//! | 4 | length of the head, little endian |
//! | 4 | length of the body |
//! | 4 | CRC-32 of the body |
//! | 4 | CRC-32 of the bytes before it, and of the head |
//! | | the head: a [`Head`] in the format of `postcard` |
//! | | the body: a [`Body`] in the format of `postcard`, compressed with zstd |

mod version_1;

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::topic::Topic;
use nexum_core::ledger::{Act, Entry, ModuleVersion, Reverted};
use serde::{Deserialize, Serialize};

use self::version_1::Body1;

const MAGIC: [u8; 4] = *b"NXL2";

/// Begins a frame of the first version of the format, which nexum still reads.
const MAGIC_1: [u8; 4] = *b"NXLF";

/// The bytes before the head.
pub(crate) const FIXED_BYTES: usize = 20;

/// The most bytes of a head: 64 kB, which is room for a thousand modules.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// The most bytes of a body, compressed or not. It has room for thousands of rows, and bounds the memory of a
/// reader.
const BODY_BYTES_MAX: usize = 4 << 20;

/// The bytes of entries after which a frame is full: large enough that zstd finds the repetitions, and small
/// enough that a question about one event decompresses little.
pub(crate) const FRAME_BYTES: usize = 512 << 10;

/// The level of zstd: the one with the best ratio that costs well under a microsecond a row.
const LEVEL: i32 = 3;

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The number, which grows with each row, also over restarts.
    pub number: u64,
    /// The time of the entry, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The entry.
    pub entry: Entry,
}

/// The index of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The number of the first row. The others follow without a gap.
    pub(crate) first: u64,
    pub(crate) rows: u32,
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
    /// For each module, the range of blocks in each topic. A module without ranges has only stages.
    pub(crate) modules: BTreeMap<String, BTreeMap<Topic, (u64, u64)>>,
    /// Whether a row says that entries are missing.
    pub(crate) has_lost: bool,
    /// Whether a row changes what earlier ones mean: a revert, or a dropped dead letter.
    pub(crate) has_later: bool,
}

#[derive(Serialize, Deserialize)]
struct Body {
    versions: Vec<ModuleVersion>,
    rows: Vec<StoredRow>,
}

#[derive(Serialize, Deserialize)]
struct StoredRow {
    at_ms: u64,
    /// The index in `versions`, for an attempt.
    version: u32,
    entry: Entry,
}

/// A frame at the start of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parsed<'a> {
    pub(crate) head: Head,
    pub(crate) body: &'a [u8],
    pub(crate) bytes: usize,
}

/// The bytes of a head and a body, and the checksum of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lengths {
    pub(crate) head: usize,
    pub(crate) body: usize,
    body_crc: u32,
    head_crc: u32,
    /// Whether the frame has the first version of the format.
    is_first: bool,
}

impl Lengths {
    /// Reads the first [`FIXED_BYTES`] of a frame. `None` if they are no frame's.
    pub(crate) fn read(fixed: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = fixed.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let lengths = Self {
            head: usize::try_from(word(4)?).ok()?,
            body: usize::try_from(word(8)?).ok()?,
            body_crc: word(12)?,
            head_crc: word(16)?,
            is_first: fixed.starts_with(&MAGIC_1),
        };
        let is_frame = lengths.is_first || fixed.starts_with(&MAGIC);
        let is_valid = is_frame && lengths.head <= HEAD_BYTES_MAX && lengths.body <= BODY_BYTES_MAX;
        is_valid.then_some(lengths)
    }

    /// The bytes of the whole frame.
    pub(crate) fn frame(&self) -> usize {
        FIXED_BYTES + self.head + self.body
    }

    /// Reads the head, which follows `fixed`.
    pub(crate) fn head(&self, fixed: &[u8], head: &[u8]) -> Option<Head> {
        let mut crc = crc32fast::Hasher::new();
        crc.update(fixed.get(..16)?);
        crc.update(head);
        (crc.finalize() == self.head_crc).then(|| postcard::from_bytes(head).ok())?
    }

    /// Reads the rows of a body.
    pub(crate) fn rows(&self, head: &Head, body: &[u8]) -> Option<Vec<Row>> {
        if crc32fast::hash(body) != self.body_crc {
            return None;
        }
        let raw = zstd::bulk::decompress(body, BODY_BYTES_MAX).ok()?;
        let Body { versions, rows } = match self.is_first {
            true => postcard::from_bytes::<Body1>(&raw).ok()?.into(),
            false => postcard::from_bytes(&raw).ok()?,
        };
        head.first.checked_add(rows.len() as u64)?;
        let versions: Vec<_> = versions.into_iter().map(Arc::new).collect();
        let numbers = head.first..;
        let row = |(number, row): (u64, StoredRow)| {
            let mut entry = row.entry;
            if let Entry::Attempt(attempt) = &mut entry {
                attempt.module = versions.get(usize::try_from(row.version).ok()?)?.clone();
            }
            let at_ms = row.at_ms;
            Some(Row { number, at_ms, entry })
        };
        numbers.zip(rows).map(row).collect()
    }
}

/// Encodes rows as frames. The rows of a frame have numbers without a gap. Rows whose bytes would not fit into a frame are left out.
pub fn encode(rows: &[Row]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = rows;
    while let Some(first) = rest.first() {
        let (mut size, mut next) = (0, Some(first.number));
        let fits = |row: &&Row| {
            size += row.entry.size_bytes();
            let follows = next == Some(row.number);
            next = row.number.checked_add(1);
            size <= FRAME_BYTES && follows
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (now, later) = rest.split_at(count);
        frame(now, &mut bytes);
        rest = later;
    }
    bytes
}

/// Encodes rows as one frame, or as two if one is too large.
fn frame(rows: &[Row], bytes: &mut Vec<u8>) {
    let encoded = encode_head(rows).zip(encode_body(rows));
    match encoded {
        Some((head, body)) => put(MAGIC, &head, &body, bytes),
        None if rows.len() > 1 => {
            let (first, second) = rows.split_at(rows.len() / 2);
            frame(first, bytes);
            frame(second, bytes);
        }
        None => {}
    }
}

/// Appends a frame.
fn put(magic: [u8; 4], head: &[u8], body: &[u8], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.extend(magic);
    for length in [head.len(), body.len()] {
        bytes.extend((u32::try_from(length).unwrap_or(u32::MAX)).to_le_bytes());
    }
    bytes.extend(crc32fast::hash(body).to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[start..]);
    crc.update(head);
    bytes.extend(crc.finalize().to_le_bytes());
    bytes.extend(head);
    bytes.extend(body);
}

fn encode_head(rows: &[Row]) -> Option<Vec<u8>> {
    let mut head = Head {
        first: rows.first()?.number,
        rows: u32::try_from(rows.len()).ok()?,
        from_ms: rows.iter().map(|row| row.at_ms).min()?,
        to_ms: rows.iter().map(|row| row.at_ms).max()?,
        ..Head::default()
    };
    for row in rows {
        let (topic, range) = match &row.entry {
            Entry::Attempt(attempt) => at(attempt.event.topic, attempt.event.position.number),
            Entry::Inputs(inputs) => at(inputs.event.topic, inputs.event.position.number),
            Entry::Dropped(Act { event, .. }) => at(event.topic, event.position.number),
            Entry::Reverted(Reverted { topic, to, .. }) => (Some(*topic), (to.map_or(0, |to| to.number), u64::MAX)),
            Entry::Stage(_) => (None, (0, 0)),
            Entry::Lost(_) => {
                head.has_lost = true;
                continue;
            }
        };
        head.has_later |= matches!(row.entry, Entry::Reverted(_) | Entry::Dropped(_));
        let module = head.modules.entry(row.entry.module()?.to_owned()).or_default();
        if let Some(topic) = topic {
            let known = module.entry(topic).or_insert(range);
            *known = (known.0.min(range.0), known.1.max(range.1));
        }
    }
    let head = postcard::to_allocvec(&head).ok()?;
    (head.len() <= HEAD_BYTES_MAX).then_some(head)
}

fn at(topic: Topic, number: u64) -> (Option<Topic>, (u64, u64)) {
    (Some(topic), (number, number))
}

fn encode_body(rows: &[Row]) -> Option<Vec<u8>> {
    let mut versions: Vec<Arc<ModuleVersion>> = Vec::new();
    let mut stored = Vec::with_capacity(rows.len());
    for row in rows {
        let version = match &row.entry {
            Entry::Attempt(attempt) => match versions.iter().position(|known| Arc::ptr_eq(known, &attempt.module)) {
                Some(known) => known,
                None => {
                    versions.push(attempt.module.clone());
                    versions.len() - 1
                }
            },
            _ => 0,
        };
        stored.push(StoredRow {
            at_ms: row.at_ms,
            version: u32::try_from(version).ok()?,
            entry: row.entry.clone(),
        });
    }
    let body = Body {
        versions: versions.iter().map(|version| (**version).clone()).collect(),
        rows: stored,
    };
    let raw = postcard::to_allocvec(&body)
        .ok()
        .filter(|raw| raw.len() <= BODY_BYTES_MAX)?;
    let body = zstd::bulk::compress(&raw, LEVEL).ok()?;
    (body.len() <= BODY_BYTES_MAX).then_some(body)
}

/// Decodes frames that follow each other: the rows of the whole ones before the first damage. This is what
/// fuzzing and tests call.
pub fn decode(mut bytes: &[u8]) -> Vec<Row> {
    let mut rows = Vec::new();
    while let Some(Parsed {
        head,
        body,
        bytes: length,
    }) = parse(bytes)
        && let Some(lengths) = Lengths::read(bytes)
        && let Some(of_frame) = lengths.rows(&head, body)
    {
        rows.extend(of_frame);
        bytes = &bytes[length..];
    }
    rows
}

/// The frame at the start of some bytes. `None` if they do not begin with a whole one.
fn parse(bytes: &[u8]) -> Option<Parsed<'_>> {
    let fixed = bytes.get(..FIXED_BYTES)?;
    let lengths = Lengths::read(fixed)?;
    let frame = bytes.get(..lengths.frame())?;
    let (head, body) = frame[FIXED_BYTES..].split_at(lengths.head);
    Some(Parsed {
        head: lengths.head(fixed, head)?,
        body,
        bytes: frame.len(),
    })
}
