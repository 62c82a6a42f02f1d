//! The state that a trial starts with: a copy in memory.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _, Write};
use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_core::MemoryStore;
use nexum_core::state::{Cursors, Effect, Usage, admin};
use nexum_core::store::StateStore;
use nexum_core::trial::{RewindError, begins_at, rewind};

use super::prepare::Subject;
use crate::args::StartState;
use crate::command::state;
use crate::report::{Refusal, Refusals, count};

/// The most bytes of a module's export that a trial copies. The rows take less than half of it, in memory, and a replay
/// has up to three copies.
const EXPORT_BYTES_MAX: usize = 512 << 20;

/// The state before the first block.
pub(super) struct Start {
    /// The state, for one module.
    pub(super) store: Arc<dyn StateStore>,
    /// The origin of the state, in words.
    pub(super) text: String,
    /// Whether it is the state that the module had before the first block.
    pub(super) is_own: bool,
    /// The records of the module's effects, whose answers a trial gives again.
    pub(super) records: Vec<Effect>,
    /// The module's state of now. `None` if there is none.
    pub(super) now: Option<Copied>,
    choice: Choice,
}

/// A copy of a module's rows in a file without a name, from which further copies come.
pub(super) struct Copied {
    file: File,
    module: ModuleName,
    chain_id: u64,
    pub(super) cursors: Cursors,
    usage: Usage,
}

/// The chosen state.
#[derive(Clone, Copy)]
enum Choice {
    Empty,
    Now,
    Before(u64),
}

impl Start {
    /// An empty state, for a component that is no version of a configured module.
    pub(super) fn empty() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            text: "empty".to_owned(),
            is_own: false,
            records: Vec::new(),
            now: None,
            choice: Choice::Empty,
        }
    }

    /// The state of a replay that sees what its record has of each event.
    pub(super) fn recorded() -> Self {
        Self {
            text: "the recorded state of each event".to_owned(),
            ..Self::empty()
        }
    }

    /// Reads the state of a module before block `first`, as far as it is known.
    ///
    /// # Errors
    ///
    /// If the state cannot be read, or is too large.
    pub(super) fn read(subject: &Subject, wanted: StartState, chain_id: u64, first: u64) -> Result<Self, Refusals> {
        let now = Copied::read(subject, chain_id)?;
        let records = now.as_ref().map(Copied::records).transpose()?.unwrap_or_default();
        let empty = |text: &str, is_own| (Choice::Empty, text.to_owned(), is_own);
        let (choice, text, is_own) = match (&now, wanted) {
            (_, StartState::Empty) => empty("empty", false),
            (None, _) => empty("empty, because the module has no state", true),
            (Some(now), StartState::Now) => {
                let keys = count(now.usage.keys, "key");
                (Choice::Now, format!("that of now, with {keys}"), false)
            }
            (Some(now), StartState::Before) if now.begins_at(subject, first) => {
                empty("empty, because the module begins here", true)
            }
            (Some(now), StartState::Before) => match now.before(first) {
                Ok(_) => (
                    Choice::Before(first),
                    format!("that before block {first}, from undo records"),
                    true,
                ),
                Err(Unknown::TooDeep(reason)) => {
                    empty(&format!("empty, and not the module's own, because {reason}"), false)
                }
                Err(Unknown::Failed(refusal)) => return Err(refusal.into()),
            },
        };
        let store = store_of(now.as_ref(), choice)?;
        Ok(Self {
            store,
            text,
            is_own,
            records,
            now,
            choice,
        })
    }

    /// An equal state for another module.
    pub(super) fn again(&self) -> Result<Self, Refusal> {
        Ok(Self {
            store: store_of(self.now.as_ref(), self.choice)?,
            text: self.text.clone(),
            is_own: self.is_own,
            records: self.records.clone(),
            now: None,
            choice: self.choice,
        })
    }
}

fn store_of(now: Option<&Copied>, choice: Choice) -> Result<Arc<dyn StateStore>, Refusal> {
    match (now, choice) {
        (None, _) | (_, Choice::Empty) => Ok(Arc::new(MemoryStore::new())),
        (Some(now), Choice::Now) => now.store(),
        (Some(now), Choice::Before(first)) => now.before(first).map_err(Unknown::into_refusal),
    }
}

/// Why the state before a block is not known.
pub(super) enum Unknown {
    TooDeep(String),
    Failed(Refusal),
}

impl Unknown {
    fn into_refusal(self) -> Refusal {
        match self {
            Self::TooDeep(reason) => Refusal::new(reason),
            Self::Failed(refusal) => refusal,
        }
    }
}

impl Copied {
    /// Copies the state of now, from the running daemon or from the state directory.
    fn read(subject: &Subject, chain_id: u64) -> Result<Option<Self>, Refusals> {
        let module = subject.module.meta.name.clone();
        let failed = |error: std::io::Error| Refusal::of(&error).about("the copy of the state");
        let mut file = tempfile::tempfile().map_err(failed)?;
        let mut out = Bounded {
            file: BufWriter::new(&mut file),
            left: EXPORT_BYTES_MAX,
        };
        let is_there = state::copy(&subject.config, &subject.file, &module, &mut out)?;
        out.flush().map_err(failed)?;
        drop(out);
        if !is_there {
            return Ok(None);
        }
        let mut copied = Self {
            file,
            module,
            chain_id,
            cursors: Cursors::default(),
            usage: Usage::default(),
        };
        let store = copied.store()?;
        let view = store.view().map_err(|error| Refusal::of(&error))?;
        let summary = admin::summary(&*view, &copied.module).map_err(|error| Refusal::of(&error))?;
        let Some(summary) = summary else { return Ok(None) };
        (copied.cursors, copied.usage) = (summary.cursors, summary.usage);
        Ok(Some(copied))
    }

    /// A copy of the state of now.
    pub(super) fn store(&self) -> Result<Arc<dyn StateStore>, Refusal> {
        let store = Arc::new(MemoryStore::new());
        let failed = |error: &(dyn std::error::Error + 'static)| Refusal::of(error).about("the copy of the state");
        let mut file = &self.file;
        file.rewind().map_err(|error| failed(&error))?;
        nexum_store::import(&*store, &mut BufReader::new(file), &mut |_, _| {}).map_err(|error| failed(&error))?;
        Ok(store)
    }

    /// A copy of the state before a block.
    pub(super) fn before(&self, block: u64) -> Result<Arc<dyn StateStore>, Unknown> {
        let store = self.store().map_err(Unknown::Failed)?;
        match rewind(&*store, &self.module, self.chain_id, block) {
            Ok(()) => Ok(store),
            Err(error @ RewindError::TooDeep { .. }) => Err(Unknown::TooDeep(error.to_string())),
            Err(error) => Err(Unknown::Failed(Refusal::of(&error))),
        }
    }

    fn begins_at(&self, subject: &Subject, first: u64) -> bool {
        begins_at(&subject.module, self.chain_id, &self.cursors, first)
    }

    fn records(&self) -> Result<Vec<Effect>, Refusal> {
        let store = self.store()?;
        let view = store.view().map_err(|error| Refusal::of(&error))?;
        let mut records = Vec::new();
        let read = admin::effects(&*view, &self.module, &mut |effect| {
            records.push(effect);
            std::ops::ControlFlow::Continue(())
        });
        read.map_err(|error| Refusal::of(&error))?;
        Ok(records)
    }
}

/// A file with a bound on its size.
struct Bounded<W> {
    file: W,
    left: usize,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| {
            io::Error::other(format!(
                "the module's state is larger than {EXPORT_BYTES_MAX} bytes of export: start with --state empty"
            ))
        })?;
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
