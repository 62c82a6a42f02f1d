//! WASI preview 2 without outside access: no files, sockets, environment or arguments, and an empty
//! stdin. Lines of stdout and stderr become log records, unless the embedder captures them. Clocks
//! and entropy come from the host's seams.
//!
//! Every module has it, because toolchains add these imports to components even if the author does
//! not use them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use wasmtime::component::Linker;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::random::RANDOM_BYTES_MAX;
use crate::BoxError;
use crate::capability::module_meta::ModuleMeta;
use crate::capability::recorder::{RECORD_BYTES_MAX, Recorder};
use crate::capability::stdio::{Sink, Stream};
use crate::capability::{Capability, HostState};
use crate::clock::{Clock, Entropy, Seams};

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
    type State = WasiCtx;

    fn name(&self) -> &'static str {
        "wasi"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &[
            "wasi:cli/environment@0.2.0",
            "wasi:cli/exit@0.2.0",
            "wasi:cli/stderr@0.2.0",
            "wasi:cli/stdin@0.2.0",
            "wasi:cli/stdout@0.2.0",
            "wasi:cli/terminal-input@0.2.0",
            "wasi:cli/terminal-output@0.2.0",
            "wasi:cli/terminal-stderr@0.2.0",
            "wasi:cli/terminal-stdin@0.2.0",
            "wasi:cli/terminal-stdout@0.2.0",
            "wasi:clocks/monotonic-clock@0.2.0",
            "wasi:clocks/wall-clock@0.2.0",
            "wasi:filesystem/preopens@0.2.0",
            "wasi:filesystem/types@0.2.0",
            "wasi:io/error@0.2.0",
            "wasi:io/poll@0.2.0",
            "wasi:io/streams@0.2.0",
            "wasi:random/insecure-seed@0.2.0",
            "wasi:random/insecure@0.2.0",
            "wasi:random/random@0.2.0",
            "wasi:sockets/instance-network@0.2.0",
            "wasi:sockets/ip-name-lookup@0.2.0",
            "wasi:sockets/network@0.2.0",
            "wasi:sockets/tcp-create-socket@0.2.0",
            "wasi:sockets/tcp@0.2.0",
            "wasi:sockets/udp-create-socket@0.2.0",
            "wasi:sockets/udp@0.2.0",
        ]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        wasmtime_wasi::p2::add_to_linker_async(linker)
    }

    fn prepare(&self, module: &ModuleMeta) -> Result<Self::State, BoxError> {
        let mut seed = [0; 16];
        self.seams.entropy.fill(&mut seed);
        let mut context = WasiCtx::builder();
        let lines = |level| Stream(Lines::new(module.recorder.clone(), level));
        match &module.stdio.stdout {
            Some(capture) => context.stdout(capture.stream()),
            None => context.stdout(lines(tracing::Level::INFO)),
        };
        match &module.stdio.stderr {
            Some(capture) => context.stderr(capture.stream()),
            None => context.stderr(lines(tracing::Level::WARN)),
        };
        Ok(context
            .secure_random(SeamRng(self.seams.entropy.clone()))
            .insecure_random(SeamRng(self.seams.entropy.clone()))
            .insecure_random_seed(u128::from_ne_bytes(seed))
            .max_random_size(RANDOM_BYTES_MAX.into())
            .wall_clock(SeamClock(self.seams.clock.clone()))
            .monotonic_clock(SeamClock(self.seams.clock.clone()))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build())
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let view = self.view::<Wasi>();
        WasiCtxView {
            ctx: view.state,
            table: view.table,
        }
    }
}

struct SeamClock(Arc<dyn Clock>);

impl HostWallClock for SeamClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now_ms())
    }
}

impl HostMonotonicClock for SeamClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.0.monotonic_ns()
    }
}

struct SeamRng(Arc<dyn Entropy>);

impl rand::TryRng for SeamRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(buffer);
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
}

impl Lines {
    fn new(recorder: Arc<Recorder>, level: tracing::Level) -> Self {
        Self {
            recorder,
            level,
            partial: Arc::default(),
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
