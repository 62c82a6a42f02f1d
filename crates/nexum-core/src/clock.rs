//! Time and entropy as seams: from the machine, or under the control of a test.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

/// The sources of time and entropy.
#[derive(Clone, Debug)]
pub struct Seams {
    /// The time for guests and log limits.
    pub clock: Arc<dyn Clock>,
    /// The entropy for guests.
    pub entropy: Arc<dyn Entropy>,
}

impl Seams {
    /// The machine's clock and entropy.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
        }
    }
}

/// The interval at which a sleeping task reads the clock, because the operator may set the clock.
const CLOCK_LOOK_EVERY: Duration = Duration::from_secs(1);

/// A source of time.
#[async_trait]
pub trait Clock: Send + Sync + Debug + 'static {
    /// Milliseconds since the Unix epoch, UTC. The time may step back.
    fn now_ms(&self) -> u64;

    /// Nanoseconds since a fixed point of this clock. The time must never step back.
    fn monotonic_ns(&self) -> u64;

    /// Waits until [`now_ms`](Self::now_ms) is at least `ms`, or until the clock is set back. If the
    /// clock is set meanwhile, the wait may end up to a second late.
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

/// A source of unpredictable bytes.
pub trait Entropy: Send + Sync + Debug + 'static {
    /// Fills the buffer. It must not block.
    fn fill(&self, buffer: &mut [u8]);
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Creates a clock whose monotonic time starts now.
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

/// The operating system's entropy, through one generator per thread that the system seeds.
#[derive(Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        rand::Rng::fill_bytes(&mut rand::rng(), buffer);
    }
}
