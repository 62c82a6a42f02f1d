//! What a command says while a running nexum carries it out, on the way to whoever gave it: frames, one after another.
//!
//! A frame is a byte that says what it is, four bytes with the payload's length, the highest first, and the payload. The last one
//! is an [`Frame::End`] or a [`Frame::Refused`]: an answer without it was cut off.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Buf, Bytes};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::report::Refusals;

/// How large a payload may be: reasons for a refusal, each of them a line or a trap's text.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// How much of the output goes into one frame: large enough that its head does not count.
const OUTPUT_BYTES: usize = 64 * 1_024;

/// How many frames wait to be sent: the next is made while one is on its way.
const FRAMES_WAITING_MAX: usize = 4;

/// How long whoever gave a command may leave its output unread. Meanwhile a view of the store is held, which keeps old pages, or with
/// sled all writes.
const UNREAD: Duration = Duration::from_secs(30);

/// A part of what a command says.
#[derive(Debug)]
pub(crate) enum Frame {
    /// A part of its output.
    Output(Vec<u8>),
    /// Something else that it says.
    Said(Said),
    /// It has ended, with this exit code.
    End(u8),
    /// It was not done.
    Refused(Refusals),
}

/// What a command says beside its output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// A line.
    Line(String),
    /// What is being done, and with how many rows by now of about so many; none of which is known is 0.
    Rows(String, u64, u64),
}

impl Frame {
    fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let (kind, payload) = match self {
            Self::Output(bytes) => (b'o', bytes.clone()),
            Self::Said(said) => (b's', serde_json::to_vec(said)?),
            Self::End(code) => (b'e', vec![*code]),
            Self::Refused(refusals) => (b'r', serde_json::to_vec(refusals)?),
        };
        let mut bytes = vec![kind];
        bytes.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(payload);
        Ok(bytes)
    }

    /// Takes the first frame of `bytes`, if all of it is there.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub(crate) fn decode(bytes: &mut Vec<u8>) -> io::Result<Option<Self>> {
        let Some((&[kind, a, b, c, d], rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > PAYLOAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = match (kind, payload) {
            (b'o', output) => Self::Output(output.to_vec()),
            (b's', said) => Self::Said(serde_json::from_slice(said)?),
            (b'e', &[code]) => Self::End(code),
            (b'r', refusals) => Self::Refused(serde_json::from_slice(refusals)?),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        bytes.drain(..5 + length);
        Ok(Some(frame))
    }
}

/// Frames on their way, and the body that they are sent as.
pub(crate) fn channel() -> (Frames, FramesBody) {
    let (sender, receiver) = mpsc::channel(FRAMES_WAITING_MAX);
    let frames = Frames {
        sender,
        runtime: tokio::runtime::Handle::current(),
    };
    (frames, FramesBody(receiver))
}

/// Where a command says something, on a thread that may block.
#[derive(Clone)]
pub(crate) struct Frames {
    sender: mpsc::Sender<Bytes>,
    runtime: tokio::runtime::Handle,
}

impl Frames {
    /// Sends a frame, as soon as there is room.
    ///
    /// # Errors
    ///
    /// When nobody reads it.
    pub(crate) fn send(&self, frame: &Frame) -> io::Result<()> {
        let bytes = frame.encode()?.into();
        let sent = async { tokio::time::timeout(UNREAD, self.sender.send(bytes)).await };
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// A command's output.
impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = &bytes[..bytes.len().min(OUTPUT_BYTES)];
        self.send(&Frame::Output(part.to_vec()))?;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The frames of an answer.
pub(crate) struct FramesBody(mpsc::Receiver<Bytes>);

impl Body for FramesBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, io::Error>>> {
        self.0
            .poll_recv(context)
            .map(|bytes| bytes.map(|bytes| Ok(hyper::body::Frame::data(bytes))))
    }
}

/// Reads what comes in chunks, on a thread that may block. The end of the chunks is the end of what there is to read.
pub(crate) struct Chunks {
    receiver: mpsc::Receiver<Bytes>,
    chunk: Bytes,
}

impl Chunks {
    pub(crate) fn new(receiver: mpsc::Receiver<Bytes>) -> Self {
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

/// A file, or whatever else can be read, as the body of a request. For a process that does nothing else meanwhile.
pub(crate) struct Upload(pub(crate) Box<dyn io::Read + Send>);

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, io::Error>>> {
        let mut part = vec![0; OUTPUT_BYTES];
        Poll::Ready(match self.0.read(&mut part) {
            Ok(0) => None,
            Ok(count) => {
                part.truncate(count);
                Some(Ok(hyper::body::Frame::data(part.into())))
            }
            Err(error) => Some(Err(error)),
        })
    }
}
