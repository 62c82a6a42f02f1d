//! Tasks on the state of the running daemon: the server of `nexum state`.

mod input;
mod output;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use nexum_config::names::ModuleName;
use nexum_core::HostHandle;
use nexum_core::state::admin::ImportError;
use nexum_store::TransferError;
use tokio::sync::mpsc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::input::{Chunks, Upload};
use self::output::Output;
use super::audit::must_be_local;
use super::error::ApiError;
use super::extract::{JsonOf, name_of};
use super::few::few;
use super::openapi::{Octets, errors};
use super::shared::{ApiState, loading};
use crate::daemon::audit::{By, Pending};
use crate::error_code::ErrorCode;
use crate::protocol::error::ErrorBody;
use crate::protocol::frames::{Frame, Said};
use crate::report::{Refusal, Refusals};
use crate::state::{Sinks, Task, import as take_in};

/// The most chunks of an import that wait: the next one arrives while one is imported.
const CHUNKS_WAITING_MAX: usize = 4;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    few(OpenApiRouter::new().routes(routes!(state_task)))
}

/// The routes whose handler reads the body itself.
pub(super) fn upload_routes() -> OpenApiRouter<ApiState> {
    few(OpenApiRouter::new().routes(routes!(state_import)))
}

/// A response that is a stream of frames.
type Frames = ([(HeaderName, HeaderValue); 1], Body);

const FRAMES: [(HeaderName, HeaderValue); 1] = [(
    header::CONTENT_TYPE,
    HeaderValue::from_static("application/octet-stream"),
)];

errors! {
    TaskErrors:
        LocalOnly, StateInUse, ModuleLoaded, ModuleLoading, StoreUnavailable, DaemonStopping,
}

/// Perform a task on the state
///
/// The response is a stream of frames. A frame has a byte for its kind, four bytes for the length of
/// its payload (big-endian), and the payload: `o` output, `s` a message as JSON, `e` the exit code as
/// one byte, `r` an error as the JSON of an error response. A frame `e` or `r` is the last one; a
/// response without it was cut off.
#[utoipa::path(
    post, path = "/v1/state", tag = "state",
    request_body = Task,
    responses(
        (status = 200, description = "The frames of the output", body = Octets, content_type = "application/octet-stream"),
        TaskErrors,
    )
)]
async fn state_task(State(api): State<ApiState>, by: By, JsonOf(task): JsonOf<Task>) -> Result<Frames, ApiError> {
    by.is(task.name());
    by.changes_state(task.changes_files());
    task.purges().into_iter().for_each(|module| by.concerns(module));
    if let Task::Backup { .. } = task {
        must_be_local(&by)?;
    }
    let supervisor = &api.supervisor;
    if let Task::Purge { .. } = task {
        supervisor.check_alone()?;
    }
    let held = match &task {
        Task::Compact => {
            let error = "the store cannot be compacted while it is used";
            return Err(ApiError::new(ErrorCode::StateInUse, error));
        }
        // A module that is partly loaded or partly purged would look like damage.
        Task::Purge { .. } | Task::Verify => Some(supervisor.hold_loads(&by.holds(task.name())).await),
        _ => None,
    };
    let flushed = supervisor.flush().await;
    if let Some(module) = task.purges() {
        refuse_loaded(&api.host, module)?;
        // A pending write of the module would otherwise follow the purge.
        flushed?;
    }
    let (sender, body) = output::channel();
    let store = api.store.clone();
    let record = task.changes_files().then(|| by.continues());
    tokio::task::spawn_blocking(move || {
        let _held = held;
        answer(&sender, record, |sinks| Ok(task.perform(&*store, sinks)?));
    });
    Ok((FRAMES, body))
}

/// Import the state of a module
///
/// The body is the output of an export. The response has the frames of a task.
#[utoipa::path(
    post, path = "/v1/state/import", tag = "state",
    request_body(content = Octets, content_type = "application/octet-stream", description = "The output of an export"),
    responses(
        (status = 200, description = "The frames of the outcome", body = Octets, content_type = "application/octet-stream"),
        TaskErrors,
    )
)]
async fn state_import(State(api): State<ApiState>, by: By, request: Request) -> Result<Frames, ApiError> {
    api.supervisor.check_alone()?;
    let held = api.supervisor.hold_loads(&by.holds("state_import")).await;
    api.supervisor.flush().await?;
    let (sender, body) = output::channel();
    let record = by.continues();
    let (chunks, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
    let store = api.store.clone();
    let work = tokio::task::spawn_blocking(move || {
        let _held = held;
        // Progress is not sent: the client knows how much it has sent, and reads nothing before it
        // has sent everything.
        let mut lines = Vec::new();
        let done = take_in(
            &*store,
            &mut Chunks::new(receiver),
            &mut Sinks {
                out: &mut std::io::sink(),
                say: &mut |said| {
                    if let Said::Line(_) = said {
                        lines.push(said);
                    }
                },
            },
        );
        (done, lines)
    });
    let mut input = Upload::new(request.into_body());
    // After an error, the rest of the body is read and dropped, because the client reads no answer
    // before it has sent everything.
    while let Some(chunk) = input.next().await {
        // Fails if the import has found an error and stopped.
        let _ = chunks.send(chunk).await;
    }
    drop(chunks);
    let (done, lines) = work
        .await
        .map_err(|panic| ApiError::of(ErrorCode::InternalError, &panic))?;
    tokio::task::spawn_blocking(move || {
        answer(&sender, Some(record), |sinks| {
            lines.into_iter().for_each(|line| (sinks.say)(line));
            Ok(done.map_err(|error| refusal_of(&api.host, &error))?)
        });
    });
    Ok((FRAMES, body))
}

/// Sends the messages of a task, then its outcome, which it also records.
fn answer(output: &Output, record: Option<Pending>, work: impl FnOnce(&mut Sinks<'_>) -> Result<u8, Refusals>) {
    let done = work(&mut Sinks {
        out: &mut output.clone(),
        // A failure to send output ends the task. Lines are few, so a failure to send one is
        // ignored.
        say: &mut |said| drop(output.send(&Frame::Said(said))),
    });
    let end = match done {
        Ok(code) => Frame::End(code),
        Err(refusals) => Frame::Refused(Box::new(ErrorBody::new(ErrorCode::StateTaskFailed, refusals))),
    };
    if let Some(record) = record {
        record.ended(match &end {
            Frame::Refused(error) => Err(&error.code),
            _ => Ok(()),
        });
    }
    // The client may have closed the connection.
    let _ = output.send(&end);
}

fn refuse_loaded(host: &HostHandle, module: &str) -> Result<(), ApiError> {
    match loaded(host, &name_of(module)?) {
        Some((code, refusal)) => Err(ApiError::refused(code, refusal)),
        None => Ok(()),
    }
}

/// The refusal of an import. A loaded module is always in the store, but the helpful reason is that it is loaded.
fn refusal_of(host: &HostHandle, error: &TransferError) -> Refusal {
    let loaded = match error {
        TransferError::Import(ImportError::Exists(name)) => loaded(host, name),
        _ => None,
    };
    loaded.map_or_else(|| Refusal::of(error), |(_, refusal)| refusal)
}

/// The refusal of a change to the state of a module that is loaded or being loaded.
fn loaded(host: &HostHandle, name: &ModuleName) -> Option<(ErrorCode, Refusal)> {
    if host.get(name).is_ok() {
        let code = ErrorCode::ModuleLoaded;
        let refusal = Refusal::new(format!("the module {name} is loaded")).with_code(code);
        let hint = format!("remove the module first: `nexum module remove {name}`");
        return Some((code, refusal.with_hint(hint)));
    }
    host.is_loading(name).then(|| (ErrorCode::ModuleLoading, loading(name)))
}
