//! Appends rows to a folder, and keeps it within its bounds.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nexum_core::ledger::Entry;

use crate::error::LedgerError;
use crate::files::{self, Frames, HEADER, OPEN, SEALED, Segment};
use crate::frame::{FRAME_BYTES, Row, encode};

/// The bytes of a segment after which it is sealed: a few thousand small frames, which the reader's heads of
/// still cost only milliseconds.
const SEGMENT_BYTES_MAX: u64 = 1 << 20;

/// The age of a segment's first row after which it is sealed, in milliseconds: a day, so that the bound on the
/// age of the ledger is exact to a day.
const SEGMENT_MS_MAX: u64 = DAY_MS;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// How much of the ledger is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The days after which rows are removed.
    pub days: u32,
    /// The bytes of all files above which the oldest rows are removed.
    pub bytes: u64,
}

/// Appends rows to a folder. One process writes a folder at a time.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    keep: Keep,
    /// The number of the next row.
    next: u64,
    open: Option<OpenSegment>,
}

#[derive(Debug)]
struct OpenSegment {
    file: File,
    path: PathBuf,
    first: u64,
    begun_ms: u64,
    /// The bytes up to the end of the last whole frame.
    bytes: u64,
    /// Whether a failed write may have left a part of a frame.
    is_torn: bool,
}

impl Writer {
    /// Opens a folder, or creates it. Seals the segments that an earlier process left. `now_ms` is the time in
    /// milliseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// If the folder cannot be used.
    pub fn open(folder: &Path, keep: Keep, now_ms: u64) -> Result<Self, LedgerError> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        created.map_err(LedgerError::file(folder))?;
        let mut writer = Self {
            folder: folder.to_owned(),
            keep,
            next: now_ms.saturating_mul(1_000),
            open: None,
        };
        writer.sweep()?;
        let segments = files::segments(folder)?;
        for segment in segments.iter().filter(|segment| !segment.is_sealed) {
            writer.seal(&segment.path, segment.first)?;
        }
        if let Some(last) = segments.iter().map(|segment| segment.first).max()
            && let Some(frames) = Frames::open(&files::path(folder, last, SEALED))?
        {
            let after = |place: &files::Place| place.head.first.saturating_add(place.head.rows.into());
            writer.next = frames.places.last().map_or(last, after).max(writer.next);
        }
        writer.remove_old(now_ms)?;
        Ok(writer)
    }

    /// Changes how much is kept.
    pub fn set_keep(&mut self, keep: Keep) {
        self.keep = keep;
    }

    /// Appends entries with their times.
    ///
    /// # Errors
    ///
    /// If a file cannot be written. The entries are then lost, and the writer can be used further.
    pub fn write(&mut self, entries: Vec<(u64, Entry)>, now_ms: u64) -> Result<(), LedgerError> {
        let numbers = self.next..;
        let row = |(number, (at_ms, entry))| Row { number, at_ms, entry };
        let rows: Vec<_> = numbers.zip(entries).map(row).collect();
        let Some(first) = rows.first() else { return Ok(()) };
        let after = first.number.saturating_add(rows.len() as u64);
        if self.open.is_none() {
            self.open = Some(self.begin(first.number, first.at_ms)?);
        }
        if let Some(open) = &mut self.open {
            open.append(&encode(&rows)).map_err(LedgerError::file(&open.path))?;
        }
        self.next = after;
        self.roll(now_ms)
    }

    /// Seals a segment that is full or old, and removes what is too old or too much.
    fn roll(&mut self, now_ms: u64) -> Result<(), LedgerError> {
        let is_full = |open: &mut OpenSegment| {
            open.bytes >= SEGMENT_BYTES_MAX || now_ms.saturating_sub(open.begun_ms) >= SEGMENT_MS_MAX
        };
        if let Some(full) = self.open.take_if(is_full) {
            self.seal(&full.path, full.first)?;
            self.remove_old(now_ms)?;
        }
        Ok(())
    }

    fn begin(&self, first: u64, begun_ms: u64) -> Result<OpenSegment, LedgerError> {
        let path = files::path(&self.folder, first, OPEN);
        let mut file = create(&path).map_err(LedgerError::file(&path))?;
        file.write_all(&HEADER).map_err(LedgerError::file(&path))?;
        Ok(OpenSegment {
            file,
            path,
            first,
            begun_ms,
            bytes: HEADER.len() as u64,
            is_torn: false,
        })
    }

    /// Replaces a segment by one with the same rows in large frames. Leaves out what is damaged.
    fn seal(&self, from: &Path, first: u64) -> Result<(), LedgerError> {
        let Some(frames) = Frames::open(from)? else {
            return Ok(());
        };
        let to = files::path(&self.folder, first, SEALED);
        let part = to.with_extension("part");
        let mut file = create(&part).map_err(LedgerError::file(&part))?;
        file.write_all(&HEADER).map_err(LedgerError::file(&part))?;
        let (mut rows, mut size) = (Vec::<Row>::new(), 0);
        for place in &frames.places {
            let of_frame = frames.rows(place).map_err(LedgerError::file(from))?.unwrap_or_default();
            if size >= FRAME_BYTES {
                file.write_all(&encode(&rows)).map_err(LedgerError::file(&part))?;
                rows.clear();
                size = 0;
            }
            size += of_frame.iter().map(|row| row.entry.size_bytes()).sum::<usize>();
            rows.extend(of_frame);
        }
        file.write_all(&encode(&rows)).map_err(LedgerError::file(&part))?;
        file.sync_data().map_err(LedgerError::file(&part))?;
        fs::rename(&part, &to).map_err(LedgerError::file(&to))?;
        remove(from)
    }

    /// Removes what an interrupted seal has left.
    fn sweep(&self) -> Result<(), LedgerError> {
        for entry in fs::read_dir(&self.folder).map_err(LedgerError::file(&self.folder))? {
            let path = entry.map_err(LedgerError::file(&self.folder))?.path();
            let is_left = match path.extension().and_then(|extension| extension.to_str()) {
                Some("part") => true,
                Some(OPEN) => path.with_extension(SEALED).exists(),
                _ => false,
            };
            if is_left {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Removes the oldest sealed segments, as long as there are too many bytes or the newest row of one is too
    /// old.
    fn remove_old(&self, now_ms: u64) -> Result<(), LedgerError> {
        let segments = files::segments(&self.folder)?;
        let length = |segment: &Segment| fs::metadata(&segment.path).map_or(0, |metadata| metadata.len());
        let mut bytes: u64 = segments.iter().map(length).sum();
        let oldest_ms = now_ms.saturating_sub(u64::from(self.keep.days).saturating_mul(DAY_MS));
        for segment in segments.iter().filter(|segment| segment.is_sealed) {
            let frames = Frames::open(&segment.path)?;
            let newest_ms = frames.and_then(|frames| Some(frames.places.last()?.head.to_ms));
            if bytes <= self.keep.bytes && newest_ms.is_some_and(|newest| newest >= oldest_ms) {
                return Ok(());
            }
            bytes = bytes.saturating_sub(length(segment));
            remove(&segment.path)?;
        }
        Ok(())
    }
}

impl OpenSegment {
    /// Appends whole frames, after the last whole one.
    fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.bytes)?;
        }
        self.is_torn = true;
        self.file.write_all(frames)?;
        self.is_torn = false;
        self.bytes += frames.len() as u64;
        Ok(())
    }
}

/// A new file for the owner alone, which is written at its end.
fn create(path: &Path) -> io::Result<File> {
    remove_file(path)?;
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

fn remove(path: &Path) -> Result<(), LedgerError> {
    remove_file(path).map_err(LedgerError::file(path))
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
