//! Where a guest's stdout and stderr go.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// The most bytes of one write: as much as a log record has. A guest writes longer texts in pieces.
const WRITE_BYTES_MAX: usize = 8_192;

/// Keeps in memory what guests write to stdout or stderr, up to a bound. Clones share the bytes.
#[derive(Clone, Debug)]
pub struct Capture(Arc<Mutex<Captured>>);

#[derive(Debug)]
struct Captured {
    bytes: Vec<u8>,
    bytes_max: usize,
    dropped: u64,
}

impl Capture {
    /// Keeps up to `bytes_max` bytes that [`take`](Self::take) has not returned.
    pub fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Mutex::new(Captured {
            bytes: Vec::new(),
            bytes_max,
            dropped: 0,
        })))
    }

    /// Returns the bytes since the last call, and makes room for more.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().bytes)
    }

    /// The number of bytes that found no room. The guest does not see that they are lost.
    pub fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }

    /// A stream for the context of a WASI guest.
    pub fn stream(&self) -> impl StdoutStream + use<> {
        Stream(self.clone())
    }
}

/// Takes what a guest writes, without waiting.
pub(super) trait Sink: Clone + Send + Sync + 'static {
    fn push(&self, bytes: &[u8]);
}

impl Sink for Capture {
    fn push(&self, bytes: &[u8]) {
        let mut captured = self.0.lock();
        let room = captured.bytes_max.saturating_sub(captured.bytes.len());
        let (kept, dropped) = bytes.split_at(room.min(bytes.len()));
        captured.bytes.extend_from_slice(kept);
        captured.dropped += dropped.len() as u64;
    }
}

/// The destination of modules' stdout and stderr.
#[derive(Clone, Debug, Default)]
pub struct Stdio {
    /// Captures stdout. Without it, each line becomes a log record of the level INFO.
    pub stdout: Option<Capture>,
    /// Captures stderr. Without it, each line becomes a log record of the level WARN.
    pub stderr: Option<Capture>,
}

/// An output stream into a sink. Clones write to one sink.
#[derive(Clone)]
pub(super) struct Stream<S>(pub(super) S);

impl<S: Sink> IsTerminal for Stream<S> {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl<S: Sink> StdoutStream for Stream<S> {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl<S: Sink> Pollable for Stream<S> {
    async fn ready(&mut self) {}
}

impl<S: Sink> OutputStream for Stream<S> {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.0.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

impl<S: Sink> AsyncWrite for Stream<S> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_no_more_than_its_bound_and_counts_the_rest() {
        let capture = Capture::new(4);
        capture.push(b"abc");
        capture.push(b"def");
        assert_eq!((capture.take(), capture.dropped()), (b"abcd".to_vec(), 2));
        capture.push(b"gh");
        assert_eq!((capture.take(), capture.dropped()), (b"gh".to_vec(), 2));
    }
}
