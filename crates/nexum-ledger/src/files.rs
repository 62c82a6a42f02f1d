//! The segments of a folder.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::error::LedgerError;
use crate::frame::{FIXED_BYTES, Head, Lengths, Row};

/// The first bytes of a segment; the last one is the version of the format. A frame tells its own version.
pub(crate) const HEADER: [u8; 8] = *b"nexumlg\x02";

/// The extension of the segment that the writer appends to, and of the others.
pub(crate) const OPEN: &str = "open";
pub(crate) const SEALED: &str = "sealed";

/// A segment in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    /// The number of its first row.
    pub(crate) first: u64,
    pub(crate) is_sealed: bool,
}

/// The file of a segment.
pub(crate) fn path(folder: &Path, first: u64, extension: &str) -> PathBuf {
    folder.join(format!("{first:020}.{extension}"))
}

/// The segments of a folder, oldest first. Empty if there is no folder. Of two files with equal rows, only the
/// sealed one.
pub(crate) fn segments(folder: &Path) -> Result<Vec<Segment>, LedgerError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(LedgerError::file(folder))?,
    };
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry.map_err(LedgerError::file(folder))?.path();
        let first = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let extension = path.extension().and_then(|extension| extension.to_str());
        let (Some(first), Some(OPEN | SEALED)) = (first, extension) else {
            continue;
        };
        let is_sealed = extension == Some(SEALED);
        segments.push(Segment { path, first, is_sealed });
    }
    segments.sort_unstable_by_key(|segment| (segment.first, !segment.is_sealed));
    segments.dedup_by_key(|segment| segment.first);
    Ok(segments)
}

/// A frame of a segment.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) head: Head,
    lengths: Lengths,
    body_at: u64,
}

/// An open segment.
#[derive(Debug)]
pub(crate) struct Frames {
    path: PathBuf,
    file: File,
    pub(crate) places: Vec<Place>,
    /// The bytes up to the end of the last whole frame.
    pub(crate) whole: u64,
    /// Whether something else follows.
    pub(crate) is_torn: bool,
}

impl Frames {
    /// Reads the heads of a segment. `None` if the file does not exist any more.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, LedgerError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(LedgerError::file(path))?,
        };
        let length = file.metadata().map_err(LedgerError::file(path))?.len();
        let mut frames = Self {
            path: path.to_owned(),
            file,
            places: Vec::new(),
            whole: 0,
            is_torn: length > 0,
        };
        let mut header = HEADER;
        if !frames.read(&mut header, 0).map_err(LedgerError::file(path))? {
            return Ok(Some(frames));
        }
        let [name @ .., version] = header;
        let [known_name @ .., known] = HEADER;
        if name != known_name {
            return Ok(Some(frames));
        }
        if !(1..=known).contains(&version) {
            let path = path.to_owned();
            return Err(LedgerError::Version { path, version, known });
        }
        frames.whole = HEADER.len() as u64;
        while let Some(place) = frames.place(frames.whole).map_err(LedgerError::file(path))? {
            frames.whole = place.body_at + place.lengths.body as u64;
            if frames.whole > length {
                frames.whole = place.body_at - (FIXED_BYTES + place.lengths.head) as u64;
                break;
            }
            frames.places.push(place);
        }
        frames.is_torn = frames.whole < length;
        Ok(Some(frames))
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The rows of a frame. `None` if it is damaged.
    pub(crate) fn rows(&self, place: &Place) -> io::Result<Option<Vec<Row>>> {
        let mut body = vec![0; place.lengths.body];
        let is_whole = self.read(&mut body, place.body_at)?;
        Ok(is_whole.then(|| place.lengths.rows(&place.head, &body)).flatten())
    }

    fn place(&self, at: u64) -> io::Result<Option<Place>> {
        let mut fixed = [0; FIXED_BYTES];
        if !self.read(&mut fixed, at)? {
            return Ok(None);
        }
        let Some(lengths) = Lengths::read(&fixed) else {
            return Ok(None);
        };
        let mut head = vec![0; lengths.head];
        let head_at = at + FIXED_BYTES as u64;
        if !self.read(&mut head, head_at)? {
            return Ok(None);
        }
        let body_at = head_at + head.len() as u64;
        let head = lengths.head(&fixed, &head);
        Ok(head.map(|head| Place { head, lengths, body_at }))
    }

    /// Fills the buffer. Returns false if the file ends before.
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<bool> {
        match self.file.read_exact_at(buffer, at) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}
