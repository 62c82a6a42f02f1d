//! `nexum state`, carried out by the running daemon.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{self, Body, Bytes, Incoming};
use hyper::{Request, Response};
use tokio_util::codec::FramedRead;
use tokio_util::io::StreamReader;

use super::Client;
use crate::protocol::error::ErrorBody;
use crate::protocol::frames::{Frame, FrameDecoder};
use crate::protocol::{ANSWER_BYTES_MAX, IMPORT, STATE, socket_in};
use crate::report::{Refusal, Refusals};
use crate::state::{Sinks, Task};

/// The bytes of a file in one part of a request's body: so many that the overhead of a part is
/// negligible.
const PART_BYTES: usize = 64 * 1_024;

impl Client<'_> {
    /// Whether a daemon is running and answers.
    pub(crate) fn is_answered(&self) -> bool {
        socket_in(self.state_dir).is_ok_and(|(path, _open)| UnixStream::connect(path).is_ok())
    }

    /// Lets the daemon perform a task, and forwards its output.
    ///
    /// # Errors
    ///
    /// The reason of a failure, or that the outcome is unknown.
    pub(crate) fn perform(&self, task: &Task, sinks: &mut Sinks<'_>) -> Result<u8, Refusals> {
        let body = serde_json::to_vec(task).map_err(|error| Refusal::of(&error))?;
        self.follow(STATE, Full::new(body.into()), sinks)
    }

    /// Lets the daemon import the output of `export`.
    ///
    /// # Errors
    ///
    /// The reason of a failure, or that the outcome is unknown.
    pub(crate) fn import(&self, input: Box<dyn Read + Send>, sinks: &mut Sinks<'_>) -> Result<u8, Refusals> {
        self.follow(IMPORT, upload(input), sinks)
    }

    fn follow<B>(&self, path: &str, body: B, sinks: &mut Sinks<'_>) -> Result<u8, Refusals>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Refusal::of(&error))?;
        let request = Request::post(path).header("content-type", "application/json");
        runtime.block_on(self.send(request, body, async |answer| Ok(frames(answer, sinks).await)))?
    }
}

/// Forwards the frames of an answer, up to the last. Returns the exit code.
async fn frames(answer: Response<Incoming>, sinks: &mut Sinks<'_>) -> Result<u8, Refusals> {
    if !answer.status().is_success() {
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| Refusal::of(&*error))?.to_bytes();
        let error: ErrorBody = serde_json::from_slice(&body)
            .map_err(|error| Refusal::new(format!("the answer cannot be read: {error}")))?;
        return Err(error.into());
    }
    let body = answer.into_body().into_data_stream().map_err(io::Error::other);
    let mut frames = FramedRead::new(StreamReader::new(body), FrameDecoder::default());
    while let Some(frame) = frames.next().await {
        match frame.map_err(|error| Refusal::of(&error))? {
            Frame::Output(output) => sinks.out.write_all(&output).map_err(|error| Refusal::of(&error))?,
            Frame::Said(said) => (sinks.say)(said),
            Frame::End(code) => return Ok(code),
            Frame::Refused(error) => return Err((*error).into()),
        }
    }
    Err(Refusal::new("nexum ended before this was done").into())
}

/// A reader as the body of a request. Each part is read before it is sent, which blocks: this
/// process does nothing else.
fn upload(mut input: Box<dyn Read + Send>) -> impl Body<Data = Bytes, Error = io::Error> + Send + 'static {
    let next = move || {
        let mut part = vec![0; PART_BYTES];
        match input.read(&mut part) {
            Ok(0) => None,
            Ok(count) => {
                part.truncate(count);
                Some(Ok(body::Frame::data(part.into())))
            }
            Err(error) => Some(Err(error)),
        }
    };
    StreamBody::new(stream::iter(std::iter::from_fn(next)))
}
