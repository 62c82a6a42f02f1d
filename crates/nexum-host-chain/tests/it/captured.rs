//! The log of a test.

use std::io;
use std::sync::Arc;

use nexum_host_chain::SILENCED_LOG_TARGETS;
use parking_lot::Mutex;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// All log records of any crate and level, except those of the silenced targets.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures the log of this thread.
    pub(crate) fn capture(&self) -> DefaultGuard {
        // Some libraries log through the older facade. An earlier test may have initialised it.
        let _ = tracing_log::LogTracer::init();
        let silenced = SILENCED_LOG_TARGETS.iter().map(|target| format!(",{target}=off"));
        let filter = EnvFilter::new(silenced.fold("trace".to_owned(), |filter, directive| filter + &directive));
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_writer(self.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
