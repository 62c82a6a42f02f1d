//! The output of a command that the daemon carries out, on the way to the client: frames, one after
//! another.
//!
//! A frame has a byte for its kind, four bytes for the length of its payload (big-endian), and the
//! payload. The last frame is an [`Frame::End`] or a [`Frame::Refused`]: an answer without it was
//! cut off.

use std::borrow::Cow;
use std::io;

use serde::{Deserialize, Serialize};
use tokio_util::bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, LengthDelimitedCodec};

use super::error::ErrorBody;

/// The largest payload, in bytes: the reasons of a refusal, each a line or the text of a trap.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// The head of a frame: a byte for its kind, and the length of its payload.
const KIND_BYTES: usize = 1;
const LENGTH_BYTES: usize = 4;
const HEAD_BYTES: usize = KIND_BYTES + LENGTH_BYTES;

/// A part of a command's output.
#[derive(Debug)]
pub(crate) enum Frame {
    /// A part of the output for stdout.
    Output(Vec<u8>),
    /// A message.
    Said(Said),
    /// The command has ended with this exit code.
    End(u8),
    /// The command failed.
    Refused(Box<ErrorBody>),
}

/// A message of a command beside its output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// A line.
    Line(String),
    /// The progress of a task: its label, the number of rows so far, and the approximate total. 0
    /// is an unknown total.
    Rows(String, u64, u64),
}

impl Frame {
    /// The bytes of the frame.
    ///
    /// # Errors
    ///
    /// If the payload is larger than a reader accepts.
    pub(crate) fn encode(&self) -> io::Result<Bytes> {
        let (kind, payload) = match self {
            Self::Output(bytes) => (b'o', Cow::from(bytes)),
            Self::Said(said) => (b's', Cow::from(serde_json::to_vec(said)?)),
            Self::End(code) => (b'e', Cow::from(vec![*code])),
            Self::Refused(error) => (b'r', Cow::from(serde_json::to_vec(error)?)),
        };
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = BytesMut::with_capacity(HEAD_BYTES + payload.len());
        bytes.put_u8(kind);
        bytes.put_u32(length);
        bytes.put_slice(&payload);
        Ok(bytes.freeze())
    }

    /// Reads one whole frame, head and payload.
    fn decode(bytes: &[u8]) -> io::Result<Self> {
        match bytes.split_at_checked(HEAD_BYTES) {
            Some((&[b'o', ..], output)) => Ok(Self::Output(output.to_vec())),
            Some((&[b's', ..], said)) => Ok(Self::Said(serde_json::from_slice(said)?)),
            Some((&[b'e', ..], &[code])) => Ok(Self::End(code)),
            Some((&[b'r', ..], error)) => Ok(Self::Refused(serde_json::from_slice(error)?)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Reads frames from a stream of bytes. It reserves memory for one frame of at most [`PAYLOAD_BYTES_MAX`].
pub(crate) struct FrameDecoder(LengthDelimitedCodec);

impl Default for FrameDecoder {
    fn default() -> Self {
        let mut delimited = LengthDelimitedCodec::builder();
        delimited
            .length_field_offset(KIND_BYTES)
            .length_field_length(LENGTH_BYTES);
        // The length counts only the payload, and a decoded frame includes its head.
        delimited.length_adjustment(HEAD_BYTES as isize).num_skip(0);
        Self(delimited.max_frame_length(PAYLOAD_BYTES_MAX).new_codec())
    }
}

impl Decoder for FrameDecoder {
    type Item = Frame;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Frame>> {
        let frame = self.0.decode(bytes)?;
        frame.map(|frame| Frame::decode(&frame)).transpose()
    }

    /// Drops half a frame: the reader reports that the last frame is missing.
    fn decode_eof(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Frame>> {
        self.decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_code::ErrorCode;
    use crate::report::Refusal;

    fn head(kind: u8, length: u32) -> BytesMut {
        let mut bytes = BytesMut::new();
        bytes.put_u8(kind);
        bytes.put_u32(length);
        bytes
    }

    #[test]
    fn frames_come_as_they_were_sent() {
        let refused = ErrorBody::new(ErrorCode::KeyNotFound, Refusal::new("no").with_hint("yes").into());
        let frames = [
            Frame::Output(vec![0xff, 0]),
            Frame::Output(vec![b'a'; PAYLOAD_BYTES_MAX]),
            Frame::Said(Said::Rows("reading".to_owned(), 7, 9)),
            Frame::Refused(Box::new(refused)),
            Frame::End(1),
        ];
        let sent: Vec<Bytes> = frames.iter().map(|frame| frame.encode().unwrap()).collect();
        assert_eq!(&sent[0][..], b"o\0\0\0\x02\xff\0");
        assert_eq!(&sent[4][..], b"e\0\0\0\x01\x01");
        let (mut decoder, mut bytes, mut come) = (FrameDecoder::default(), BytesMut::new(), Vec::new());
        // The parts of a stream may have any length.
        for part in sent.concat().chunks(65_521) {
            bytes.extend_from_slice(part);
            while let Some(frame) = decoder.decode(&mut bytes).unwrap() {
                come.push(frame);
            }
        }
        assert_eq!(format!("{come:?}"), format!("{frames:?}"));
        assert!(decoder.decode_eof(&mut bytes).unwrap().is_none() && bytes.is_empty());
    }

    #[test]
    fn no_room_is_made_for_a_frame_over_the_bound() {
        for length in [PAYLOAD_BYTES_MAX as u32 + 1, u32::MAX] {
            let mut bytes = head(b'o', length);
            let error = FrameDecoder::default().decode(&mut bytes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{length}");
            assert!(bytes.capacity() < PAYLOAD_BYTES_MAX, "{length}: {}", bytes.capacity());
        }
        let error = Frame::Output(vec![0; PAYLOAD_BYTES_MAX + 1]).encode().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn what_is_no_frame_is_an_error_and_half_of_one_is_none() {
        for (kind, payload) in [(b'x', &b""[..]), (b'e', b""), (b'e', b"12"), (b's', b"{"), (b'r', b"1")] {
            let mut bytes = head(kind, payload.len() as u32);
            bytes.put_slice(payload);
            assert!(
                FrameDecoder::default().decode(&mut bytes).is_err(),
                "{}",
                char::from(kind)
            );
        }
        for half in [&b"o"[..], b"o\0\0\0\x02", b"o\0\0\0\x02a"] {
            let mut bytes = BytesMut::from(half);
            assert!(FrameDecoder::default().decode_eof(&mut bytes).unwrap().is_none());
        }
    }
}
