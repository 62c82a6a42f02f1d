//! The output of a task, sent to the client.

use std::convert::Infallible;
use std::io::{self, Write};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::{StreamExt as _, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::protocol::frames::Frame;

/// The bytes of output in one frame: so many that the head of a frame is negligible.
const OUTPUT_BYTES: usize = 64 * 1_024;

/// The most frames that wait to be sent: the task makes the next one while one is sent.
const FRAMES_WAITING_MAX: usize = 4;

/// The longest time that a client may leave its output unread. Meanwhile the daemon holds a view of
/// the store, which keeps old pages, and with sled blocks all writes.
const UNREAD: Duration = Duration::from_secs(30);

/// The sender of frames, and the body that carries them.
pub(super) fn channel() -> (Output, Body) {
    let (sender, mut receiver) = mpsc::channel(FRAMES_WAITING_MAX);
    let output = Output {
        sender,
        runtime: Handle::current(),
    };
    let frames = stream::poll_fn(move |context| receiver.poll_recv(context));
    (output, Body::from_stream(frames.map(Ok::<Bytes, Infallible>)))
}

/// The output of a task, on a blocking thread.
#[derive(Clone)]
pub(super) struct Output {
    sender: mpsc::Sender<Bytes>,
    runtime: Handle,
}

impl Output {
    /// Sends a frame, as soon as there is room.
    ///
    /// # Errors
    ///
    /// If the client does not read the frame in time, or has closed the connection.
    pub(super) fn send(&self, frame: &Frame) -> io::Result<()> {
        let bytes = frame.encode()?;
        let sent = async { tokio::time::timeout(UNREAD, self.sender.send(bytes)).await };
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = &bytes[..bytes.len().min(OUTPUT_BYTES)];
        self.send(&Frame::Output(part.to_vec()))?;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
