//! Tasks on the state of the running daemon: the server of `nexum state`.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use nexum_config::names::ModuleName;
use nexum_core::HostHandle;
use nexum_core::state::admin::ImportError;
use nexum_store::TransferError;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::api_error::ApiError;
use super::control_state::{ControlState, loading};
use super::input::Chunks;
use super::output::{self, Output};
use crate::protocol::frames::{Frame, Said};
use crate::report::{Refusal, Refusals};
use crate::state::{Sinks, Task, import as take_in};

/// The most chunks of an import that wait: the next one arrives while one is imported.
const CHUNKS_WAITING_MAX: usize = 4;

/// The longest time that a client may leave its input unsent. Meanwhile no module can start.
const UNSENT: Duration = Duration::from_secs(60);

/// Performs a task, and sends its output and messages while it runs.
pub(super) async fn perform(
    State(control): State<ControlState>,
    task: Result<Json<Task>, JsonRejection>,
) -> Result<Body, ApiError> {
    let Json(task) = task.map_err(|error| ApiError::of(StatusCode::UNPROCESSABLE_ENTITY, &error))?;
    let supervisor = &control.supervisor;
    let held = match &task {
        Task::Compact => {
            let refusal = Refusal::new("the store cannot be compacted while it is used").with_hint("stop nexum first");
            return Err(ApiError(StatusCode::CONFLICT, refusal.into()));
        }
        // A module that is partly loaded or partly purged would look like damage.
        Task::Purge { .. } | Task::Verify => Some(supervisor.hold_loads().await),
        _ => None,
    };
    let flushed = supervisor.flush().await;
    if let Some(module) = task.removes() {
        refuse_loaded(&control.host, module)?;
        // A pending write of the module would otherwise follow the purge.
        flushed?;
    }
    let (sender, body) = output::channel();
    let store = control.store.clone();
    tokio::task::spawn_blocking(move || {
        let _held = held;
        answer(&sender, |sinks| Ok(task.perform(&*store, sinks)?));
    });
    Ok(body)
}

/// Imports the body of the request, which is the output of an export.
pub(super) async fn import(State(control): State<ControlState>, request: Request) -> Result<Body, ApiError> {
    let held = control.supervisor.hold_loads().await;
    control.supervisor.flush().await?;
    let (sender, body) = output::channel();
    let (chunks, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
    let store = control.store.clone();
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
    let mut input = request.into_body();
    // After an error, the rest of the body is read and dropped, because the client reads no answer
    // before it has sent everything.
    while let Ok(Some(Ok(frame))) = timeout(UNSENT, input.frame()).await {
        if let Ok(chunk) = frame.into_data() {
            // Fails if the import has found an error and stopped.
            let _ = chunks.send(chunk).await;
        }
    }
    drop(chunks);
    let (done, lines) = work
        .await
        .map_err(|panic| ApiError::of(StatusCode::INTERNAL_SERVER_ERROR, &panic))?;
    tokio::task::spawn_blocking(move || {
        answer(&sender, |sinks| {
            lines.into_iter().for_each(|line| (sinks.say)(line));
            Ok(done.map_err(|error| refusal_of(&control.host, &error))?)
        });
    });
    Ok(body)
}

/// Sends the messages of a task, then its outcome.
fn answer(output: &Output, work: impl FnOnce(&mut Sinks<'_>) -> Result<u8, Refusals>) {
    let done = work(&mut Sinks {
        out: &mut output.clone(),
        // A failure to send output ends the task. Lines are few, so a failure to send one is
        // ignored.
        say: &mut |said| drop(output.send(&Frame::Said(said))),
    });
    let end = match done {
        Ok(code) => Frame::End(code),
        Err(refusals) => Frame::Refused(refusals),
    };
    // The client may have closed the connection.
    let _ = output.send(&end);
}

fn refuse_loaded(host: &HostHandle, module: &str) -> Result<(), ApiError> {
    let name: Result<ModuleName, _> = module.parse();
    let name = name.map_err(|error| ApiError::of(StatusCode::UNPROCESSABLE_ENTITY, &error))?;
    match loaded(host, &name) {
        Some(refusal) => Err(ApiError(StatusCode::CONFLICT, refusal.into())),
        None => Ok(()),
    }
}

/// The refusal of an import. A loaded module is always in the store, but the helpful reason is that it is loaded.
fn refusal_of(host: &HostHandle, error: &TransferError) -> Refusal {
    let loaded = match error {
        TransferError::Import(ImportError::Exists(name)) => loaded(host, name),
        _ => None,
    };
    loaded.unwrap_or_else(|| Refusal::of(error))
}

/// The refusal of a change to the state of a module that is loaded or being loaded.
fn loaded(host: &HostHandle, name: &ModuleName) -> Option<Refusal> {
    if host.get(name).is_ok() {
        let refusal = Refusal::new(format!("the module {name} is loaded"));
        return Some(refusal.with_hint(format!("remove the module first: `nexum module remove {name}`")));
    }
    host.is_loading(name).then(|| loading(name))
}
