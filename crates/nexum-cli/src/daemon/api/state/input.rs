//! The body of a request, read on a blocking thread.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::Buf as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// The longest time that nexum waits for a client, if the client sends nothing. Meanwhile no module
/// can start.
const UNSENT_TIME_MAX: Duration = Duration::from_secs(60);

/// The least rate of a client, in bytes per second: far less than any line to a server.
const RATE_MIN: u32 = 16 * 1_024;

/// The body of a request from a client that must send at [`RATE_MIN`].
pub(super) struct Upload {
    body: Body,
    allowance: Allowance,
}

impl Upload {
    pub(super) fn new(body: Body) -> Self {
        let allowance = Allowance(UNSENT_TIME_MAX);
        Self { body, allowance }
    }

    /// The next bytes. `None` at the end of the body, and if the client disconnects or is too slow.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let begin = Instant::now();
            let frame = timeout(self.allowance.0, self.body.frame()).await.ok()??.ok()?;
            let bytes = frame.into_data().unwrap_or_default();
            self.allowance.change(begin.elapsed(), bytes.len());
            if !bytes.is_empty() {
                return Some(bytes);
            }
        }
    }
}

/// The time that nexum waits for the next bytes of a client. The time in which nexum itself does not
/// read is not the client's.
struct Allowance(Duration);

impl Allowance {
    /// Subtracts a wait, and adds the time of the bytes at [`RATE_MIN`], up to [`UNSENT_TIME_MAX`].
    fn change(&mut self, waited: Duration, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1).saturating_mul(bytes) / RATE_MIN;
        self.0 = (self.0.saturating_sub(waited) + earned).min(UNSENT_TIME_MAX);
    }
}

/// Reads chunks from a channel, on a blocking thread. The end of the channel is the end of the
/// input.
pub(super) struct Chunks {
    receiver: mpsc::Receiver<Bytes>,
    chunk: Bytes,
}

impl Chunks {
    pub(super) fn new(receiver: mpsc::Receiver<Bytes>) -> Self {
        let chunk = Bytes::new();
        Self { receiver, chunk }
    }
}

impl io::BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.chunk = chunk,
                None => break,
            }
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, count: usize) {
        self.chunk.advance(count);
    }
}

impl io::Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = io::BufRead::fill_buf(self)?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        io::BufRead::consume(self, count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of chunks of this size that nexum reads from a client that sends one at the end of
    /// each interval, up to a thousand.
    fn read(bytes: usize, interval: Duration) -> usize {
        let mut allowance = Allowance(UNSENT_TIME_MAX);
        let is_read = |_: &usize| {
            let is_in_time = interval < allowance.0;
            allowance.change(interval, bytes);
            is_in_time
        };
        (0..1_000).take_while(is_read).count()
    }

    #[test]
    fn a_client_that_sends_a_byte_now_and_then_is_too_slow() {
        assert_eq!(read(1, Duration::from_secs(59)), 1);
        assert_eq!(read(1, Duration::from_secs(1)), 60);
        // No number of bytes buys a longer silence.
        assert_eq!(read(1 << 30, Duration::from_secs(61)), 0);
    }

    #[test]
    fn a_slow_line_and_a_pause_are_in_time() {
        assert_eq!(read(RATE_MIN as usize, Duration::from_secs(1)), 1_000);
        assert_eq!(read(64 * RATE_MIN as usize, Duration::from_secs(59)), 1_000);
    }
}
