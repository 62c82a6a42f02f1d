//! WASI preview 2 without outside access: no sockets, environment or arguments, an empty stdin, and
//! no files except the module's own, which it can only read. Lines of stdout and stderr become log
//! records, unless the embedder captures them. Clocks and entropy come from the host's seams.
//!
//! Every module has it, because toolchains add these imports to components even if the author does
//! not use them.

mod files;

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nexum_config::engine::Metering;
use nexum_config::interface::WASI;
use nexum_config::limits::Limit;
use parking_lot::Mutex;
use serde_bytes::ByteBuf;
use wasmtime::component::Linker;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use self::files::OpenFiles;
use super::clock::TIME;
use super::random::RANDOM_BYTES_MAX;
use crate::BoxError;
use crate::capability::module_meta::ModuleMeta;
use crate::capability::recorder::{RECORD_BYTES_MAX, Recorder};
use crate::capability::stdio::{Sink, Stream};
use crate::capability::{CALL_FUEL, Capability, HostState};
use crate::clock::{Clock, Entropy, Seams};
use crate::state::scope::BudgetExhausted;
use crate::state::scope::journal::{Journal, RANDOM};

/// WASI without outside access.
#[derive(Debug)]
pub(crate) struct Wasi {
    seams: Seams,
}

impl Wasi {
    /// Creates a WASI with the seams' time and entropy.
    pub(crate) fn new(seams: Seams) -> Self {
        Self { seams }
    }
}

impl Capability for Wasi {
    type State = WasiState;

    fn name(&self) -> &'static str {
        "wasi"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        WASI
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        wasmtime_wasi::p2::add_to_linker_async(linker)?;
        files::link(linker)
    }

    fn prepare(&self, module: &ModuleMeta) -> Result<Self::State, BoxError> {
        let mut seed = [0; SEED_BYTES];
        self.seams.entropy.fill(&mut seed);
        let mut context = WasiCtx::builder();
        let work = Work::default();
        let lines = |level| Stream(Lines::new(module.recorder.clone(), level, work.clone()));
        let journal = Arc::new(OnceLock::new());
        let random = || SeamRng(self.seams.entropy.clone(), work.clone(), journal.clone());
        let clock = || SeamClock(self.seams.clock.clone(), journal.clone());
        match &module.stdio.stdout {
            Some(capture) => context.stdout(capture.stream()),
            None => context.stdout(lines(tracing::Level::INFO)),
        };
        match &module.stdio.stderr {
            Some(capture) => context.stderr(capture.stream()),
            None => context.stderr(lines(tracing::Level::WARN)),
        };
        let context = context
            .secure_random(random())
            .insecure_random(random())
            .insecure_random_seed(u128::from_ne_bytes(seed))
            .max_random_size(RANDOM_BYTES_MAX.into())
            .wall_clock(clock())
            .monotonic_clock(clock())
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        Ok(WasiState {
            context,
            filesystem: WasiFilesystemCtx::default(),
            open_files: OpenFiles::default(),
            work,
            journal,
            seed,
        })
    }
}

/// The WASI of one instance.
pub(crate) struct WasiState {
    context: WasiCtx,
    /// Has no directory: [`files`] adds the one of the module.
    filesystem: WasiFilesystemCtx,
    open_files: OpenFiles,
    work: Work,
    journal: SharedJournal,
    /// The seed that the guest can read at any time.
    seed: [u8; SEED_BYTES],
}

/// The bytes of the seed of `wasi:random/insecure-seed`.
const SEED_BYTES: usize = 16;

/// The journal of the instance, which the functions of WASI do not reach. Set when the instance has one.
type SharedJournal = Arc<OnceLock<Journal>>;

/// The host's work for WASI calls since the last look, in units of fuel. The functions of WASI do not
/// reach the event's budget.
#[derive(Clone, Debug, Default)]
struct Work(Arc<AtomicU64>);

impl Work {
    /// Adds a call, or one of several reads of the entropy in a call, that handles this many bytes.
    fn add(&self, bytes: usize) {
        self.0
            .fetch_add(CALL_FUEL.saturating_add(bytes as u64), Ordering::Relaxed);
    }
}

impl HostState {
    /// Gives WASI the journal of the instance.
    pub(in crate::capability) fn share_journal(&self) {
        for state in self.wasi_states() {
            state.journal.get_or_init(|| self.scope.journal().clone());
        }
    }

    /// The seed of WASI. `None` for a module without WASI.
    pub(crate) fn wasi_seed(&self) -> Option<[u8; SEED_BYTES]> {
        self.wasi_states().next().map(|state| state.seed)
    }

    /// The state of WASI, if the module imports some of it.
    fn wasi_states(&self) -> impl Iterator<Item = &WasiState> {
        self.slots
            .iter()
            .filter_map(|(_, slot)| slot.downcast_ref::<WasiState>())
    }

    /// Draws the host's work for WASI calls on the event's fuel. Called at each time slice of the
    /// guest.
    pub(crate) fn spend_wasi_work(&mut self) -> Result<(), BudgetExhausted> {
        if self.meta.metering != Metering::Fuel {
            return Ok(());
        }
        // A module that imports nothing of WASI has no state of it.
        let Some(state) = self.wasi_states().next() else {
            return Ok(());
        };
        let work = state.work.0.swap(0, Ordering::Relaxed);
        self.scope.spend(Limit::Fuel, work)
    }
}

impl WasiView for HostState {
    /// Called once by each function of WASI.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let view = self.view::<Wasi>();
        view.state.work.add(0);
        WasiCtxView {
            ctx: &mut view.state.context,
            table: view.table,
        }
    }
}

struct SeamClock(Arc<dyn Clock>, SharedJournal);

impl HostWallClock for SeamClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        let now = || self.0.now_ms();
        Duration::from_millis(match self.1.get() {
            Some(journal) => journal.ask_now(TIME, &[], now),
            None => now(),
        })
    }
}

impl HostMonotonicClock for SeamClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        let now = || self.0.monotonic_ns();
        match self.1.get() {
            Some(journal) => journal.monotonic(now),
            None => now(),
        }
    }
}

struct SeamRng(Arc<dyn Entropy>, Work, SharedJournal);

impl SeamRng {
    fn fill(&self, bytes: &mut [u8]) {
        self.1.add(bytes.len());
        let Some(journal) = self.2.get() else {
            return self.0.fill(bytes);
        };
        let filled = journal.ask_now(RANDOM, &[&bytes.len().to_be_bytes()], || {
            self.0.fill(bytes);
            ByteBuf::from(&*bytes)
        });
        // A transcript has as many bytes as were asked for.
        if filled.len() == bytes.len() {
            bytes.copy_from_slice(&filled);
        }
    }
}

impl rand::TryRng for SeamRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        self.fill(buffer);
        Ok(())
    }
}

/// An output stream whose lines become log records of one level. Clones share the current line.
#[derive(Clone)]
struct Lines {
    recorder: Arc<Recorder>,
    level: tracing::Level,
    /// The incomplete line, shorter than a record.
    partial: Arc<Mutex<Vec<u8>>>,
    work: Work,
}

impl Lines {
    fn new(recorder: Arc<Recorder>, level: tracing::Level, work: Work) -> Self {
        Self {
            recorder,
            level,
            partial: Arc::default(),
            work,
        }
    }

    fn emit(&self, line: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line);
        self.recorder.record(self.level, text.trim_end());
        line.clear();
    }
}

impl Sink for Lines {
    fn push(&self, bytes: &[u8]) {
        self.work.add(bytes.len());
        let mut partial = self.partial.lock();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for piece in piece.chunks(RECORD_BYTES_MAX) {
                if partial.len() + piece.len() > RECORD_BYTES_MAX {
                    self.emit(&mut partial);
                }
                partial.extend_from_slice(piece);
            }
            if partial.ends_with(b"\n") {
                self.emit(&mut partial);
            }
        }
    }
}
