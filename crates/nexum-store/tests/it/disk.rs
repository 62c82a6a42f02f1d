//! A disk that shows its content after a power failure, and that can be full.

use std::fmt;
use std::io::{Error, ErrorKind};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use redb::StorageBackend;

/// The unit that a disk writes at once, in bytes.
const SECTOR_BYTES: usize = 512;

/// The number of images of each sync that keep a random part of the unsynced data.
const RANDOM_IMAGES: usize = 3;

/// A disk with one file.
#[derive(Clone)]
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
}

struct State {
    /// The content that certainly survives a crash.
    synced: Vec<u8>,
    /// The changes since the last sync.
    pending: Vec<Change>,
    /// The content that a read sees.
    now: Vec<u8>,
    /// The possible contents after a crash at each sync since the last request.
    images: Vec<Vec<u8>>,
    watched: bool,
    /// The number of changes and syncs that succeed before the disk is full.
    room: Option<u32>,
    random: SmallRng,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Disk {
    /// A disk with a file.
    pub(crate) fn new(file: Vec<u8>, seed: u64) -> Self {
        let state = State {
            synced: file.clone(),
            pending: Vec::new(),
            now: file,
            images: Vec::new(),
            watched: false,
            room: None,
            random: SmallRng::seed_from_u64(seed),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Starts to record images.
    pub(crate) fn watch(&self) {
        self.state().watched = true;
    }

    /// The possible contents after a crash at any moment since the last call.
    pub(crate) fn images(&self) -> Vec<Vec<u8>> {
        let mut state = self.state();
        if state.watched && !state.pending.is_empty() {
            state.take_images();
        }
        std::mem::take(&mut state.images)
    }

    /// The content that certainly survives a crash.
    pub(crate) fn synced(&self) -> Vec<u8> {
        self.state().synced.clone()
    }

    /// Limits the number of changes and syncs that succeed. None removes the limit.
    pub(crate) fn set_room(&self, room: Option<u32>) {
        self.state().room = room;
    }

    /// Whether the disk has refused a change.
    pub(crate) fn is_full(&self) -> bool {
        self.state().room == Some(0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn take_images(&mut self) {
        let random: [f64; RANDOM_IMAGES] = self.random.random();
        for kept in [0.0, 1.0].into_iter().chain(random) {
            let image = self.image(kept);
            self.images.push(image);
        }
    }

    /// A possible content after a crash: the disk has each unsynced write of a sector with the
    /// probability `kept`.
    fn image(&mut self, kept: f64) -> Vec<u8> {
        let mut image = self.synced.clone();
        let mut length = image.len();
        for change in &self.pending {
            match change {
                Change::Length(to) if self.random.random_bool(kept) => length = *to,
                Change::Length(_) => {}
                Change::Write(offset, data) => {
                    let mut at = *offset;
                    let end = offset + data.len();
                    while at < end {
                        let next = end.min((at / SECTOR_BYTES + 1) * SECTOR_BYTES);
                        if self.random.random_bool(kept) {
                            write(&mut image, at, &data[at - offset..next - offset]);
                        }
                        at = next;
                    }
                }
            }
        }
        image.resize(length, 0);
        image
    }

    /// Counts a change, or fails because the disk is full.
    fn spend(&mut self) -> Result<(), Error> {
        match &mut self.room {
            None => Ok(()),
            Some(0) => Err(ErrorKind::StorageFull.into()),
            Some(room) => {
                *room -= 1;
                Ok(())
            }
        }
    }
}

fn write(file: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(data);
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.state().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let state = self.state();
        let from = offset as usize;
        let data = state.now.get(from..from + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(data);
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), Error> {
        let mut state = self.state();
        state.spend()?;
        state.now.resize(length as usize, 0);
        state.pending.push(Change::Length(length as usize));
        Ok(())
    }

    /// After a failed sync, reads see the data since the last sync, but the disk never writes it. A
    /// system's page cache behaves so.
    fn sync_data(&self) -> Result<(), Error> {
        let mut state = self.state();
        if state.watched && !state.pending.is_empty() {
            state.take_images();
        }
        let pending = std::mem::take(&mut state.pending);
        state.spend()?;
        for change in pending {
            match change {
                Change::Write(offset, data) => write(&mut state.synced, offset, &data),
                Change::Length(length) => state.synced.resize(length, 0),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut state = self.state();
        state.spend()?;
        write(&mut state.now, offset as usize, data);
        state.pending.push(Change::Write(offset as usize, data.to_vec()));
        Ok(())
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").finish_non_exhaustive()
    }
}
