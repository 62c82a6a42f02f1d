//! `nexum state`, done by the nexum that runs.

use std::io::Read;
use std::os::unix::net::UnixStream;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{Request, Response};

use super::Client;
use crate::protocol::frames::{Frame, Upload};
use crate::protocol::{ANSWER_BYTES_MAX, IMPORT, SOCKET, STATE};
use crate::report::{Refusal, Refusals};
use crate::state::{Sinks, Task};

impl Client<'_> {
    /// Whether a nexum runs that can be asked.
    pub(crate) fn is_answered(&self) -> bool {
        UnixStream::connect(self.state_dir.join(SOCKET)).is_ok()
    }

    /// Has something done, and says what is said about it.
    ///
    /// # Errors
    ///
    /// Why it was not done, or that nobody knows how it ended.
    pub(crate) fn perform(&self, task: &Task, sinks: &mut Sinks<'_>) -> Result<u8, Refusals> {
        let body = serde_json::to_vec(task).map_err(|error| Refusal::of(&error))?;
        self.follow(STATE, Full::new(body.into()), sinks)
    }

    /// Has what an export wrote be taken in.
    ///
    /// # Errors
    ///
    /// Why it was not done, or that nobody knows how it ended.
    pub(crate) fn import(&self, input: Box<dyn Read + Send>, sinks: &mut Sinks<'_>) -> Result<u8, Refusals> {
        self.follow(IMPORT, Upload(input), sinks)
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

/// Says what the frames of an answer say, up to the last.
async fn frames(answer: Response<Incoming>, sinks: &mut Sinks<'_>) -> Result<u8, Refusals> {
    if !answer.status().is_success() {
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| Refusal::of(&*error))?.to_bytes();
        let refusals = serde_json::from_slice(&body);
        return Err(refusals.map_err(|error| Refusal::new(format!("the answer cannot be read: {error}")))?);
    }
    let (mut body, mut bytes) = (answer.into_body(), Vec::new());
    while let Some(part) = body.frame().await {
        if let Ok(data) = part.map_err(|error| Refusal::of(&error))?.into_data() {
            bytes.extend_from_slice(&data);
        }
        while let Some(frame) = Frame::decode(&mut bytes).map_err(|error| Refusal::of(&error))? {
            match frame {
                Frame::Output(output) => sinks.out.write_all(&output).map_err(|error| Refusal::of(&error))?,
                Frame::Said(said) => (sinks.say)(said),
                Frame::End(code) => return Ok(code),
                Frame::Refused(refusals) => return Err(refusals),
            }
        }
    }
    Err(Refusal::new("nexum ended before this was done").into())
}
