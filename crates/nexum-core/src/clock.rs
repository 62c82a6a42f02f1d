//! Time and entropy as seams: the machine's own, or what a test decides.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

/// Where time and entropy come from.
#[derive(Clone, Debug)]
pub struct Seams {
    /// Time, as guests and log bounds see it.
    pub clock: Arc<dyn Clock>,
    /// Entropy, as guests see it.
    pub entropy: Arc<dyn Entropy>,
}

impl Seams {
    /// The machine's own clock and entropy.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
        }
    }
}

/// How often somebody who waits for a time looks at the clock: it may be set.
const CLOCK_LOOK_EVERY: Duration = Duration::from_secs(1);

/// A source of time.
#[async_trait]
pub trait Clock: Send + Sync + Debug + 'static {
    /// Milliseconds since the Unix epoch, UTC. May step back.
    fn now_ms(&self) -> u64;

    /// Nanoseconds since a point that is fixed for this clock. Must never step back.
    fn monotonic_ns(&self) -> u64;

    /// Waits until [`now_ms`](Self::now_ms) is at least this, or until the clock is set back. May be late by as much as the clock was
    /// set meanwhile, up to a second.
    async fn sleep_until(&self, ms: u64) {
        let mut looked = self.now_ms();
        while let Some(left) = ms.checked_sub(looked).filter(|left| *left > 0) {
            tokio::time::sleep(Duration::from_millis(left).min(CLOCK_LOOK_EVERY)).await;
            let now = self.now_ms();
            if now < looked {
                return;
            }
            looked = now;
        }
    }
}

/// A source of bytes that nobody can foretell.
pub trait Entropy: Send + Sync + Debug + 'static {
    /// Fills the buffer. Must not block.
    fn fill(&self, buffer: &mut [u8]);
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[expect(clippy::disallowed_methods, reason = "the seam itself")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the seam itself")]
    fn now_ms(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The operating system's entropy, through a generator for each thread that it seeds.
#[derive(Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        rand::Rng::fill_bytes(&mut rand::rng(), buffer);
    }
}
