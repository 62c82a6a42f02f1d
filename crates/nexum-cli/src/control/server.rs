//! The running side of the socket.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path as PathOf, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use nexum_core::loader::ModuleMeta;
use nexum_core::names::ModuleName;
use nexum_core::runner::{ModuleStatus, Stage};
use nexum_core::state::admin;
use nexum_core::store::{StateStore, StoreError};
use tokio::net::UnixListener;

use super::view::{self, Letter, Refused};
use super::{DEAD_LETTERS_PER_ANSWER_MAX, MODULES, SOCKET};

/// How large the body of a request may be: none has one yet.
const BODY_BYTES_MAX: usize = 64 * 1_024;

/// What is steered.
#[derive(Clone)]
pub(crate) struct Steered {
    pub(crate) modules: Arc<[(Arc<ModuleMeta>, Arc<ModuleStatus>)]>,
    pub(crate) store: Arc<dyn StateStore>,
}

/// The socket, which is removed when this is dropped.
pub(crate) struct Control {
    listener: Option<UnixListener>,
    path: PathBuf,
}

impl Control {
    /// Opens the socket in a state directory, in place of one that a dead process left.
    ///
    /// # Errors
    ///
    /// When somebody listens on it, or it cannot be made.
    pub(crate) fn open(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(SOCKET);
        if UnixStream::connect(&path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(state_dir)?;
        // Nobody can open it before it has its mode: it gets its name only then.
        let hidden = tempfile::Builder::new().prefix(".socket").tempdir_in(state_dir)?;
        let unnamed = hidden.path().join(SOCKET);
        let listener = UnixListener::bind(&unnamed)?;
        fs::set_permissions(&unnamed, fs::Permissions::from_mode(0o600))?;
        fs::rename(&unnamed, &path)?;
        Ok(Self {
            listener: Some(listener),
            path,
        })
    }

    /// Answers for as long as it is awaited.
    pub(crate) async fn serve(mut self, steered: Steered) -> io::Result<()> {
        let Some(listener) = self.listener.take() else {
            return Ok(());
        };
        let modules = Router::new()
            .route("/", get(list))
            .route("/{name}/limits", get(limits))
            .route("/{name}/restart", post(restart))
            .route("/{name}/dead-letters", get(dead_letters));
        let router = Router::new()
            .nest(MODULES, modules)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(steered);
        axum::serve(listener, router).await
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // It may be gone with the whole directory.
        let _ = fs::remove_file(&self.path);
    }
}

/// Why something was not done.
enum Refusal {
    NoModule(String),
    NotDead(String),
    Store(StoreError),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::NoModule(name) => (StatusCode::NOT_FOUND, format!("there is no module {name:?}")),
            Self::NotDead(name) => (StatusCode::CONFLICT, format!("the module {name} is not dead")),
            Self::Store(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        };
        (status, Json(Refused { error })).into_response()
    }
}

impl Steered {
    fn module(&self, name: &str) -> Result<&(Arc<ModuleMeta>, Arc<ModuleStatus>), Refusal> {
        let mut modules = self.modules.iter();
        let module = modules.find(|(meta, _)| meta.name.as_str() == name);
        module.ok_or_else(|| Refusal::NoModule(name.to_owned()))
    }
}

async fn list(State(steered): State<Steered>) -> Json<Vec<view::Module>> {
    let modules = steered.modules.iter();
    Json(modules.map(|(meta, status)| view::Module::of(meta, status)).collect())
}

async fn limits(
    State(steered): State<Steered>,
    PathOf(name): PathOf<String>,
) -> Result<Json<Vec<view::Usage>>, Refusal> {
    let (meta, status) = steered.module(&name)?;
    Ok(Json(view::usages(meta, status)))
}

async fn restart(State(steered): State<Steered>, PathOf(name): PathOf<String>) -> Result<Json<view::Module>, Refusal> {
    let (meta, status) = steered.module(&name)?;
    if status.stage() != Stage::Dead {
        return Err(Refusal::NotDead(name));
    }
    tracing::info!(module = name, "the operator restarts the module");
    status.revive();
    Ok(Json(view::Module::of(meta, status)))
}

async fn dead_letters(
    State(steered): State<Steered>,
    PathOf(name): PathOf<String>,
) -> Result<Json<Vec<Letter>>, Refusal> {
    let name: ModuleName = steered.module(&name)?.0.name.clone();
    let store = steered.store;
    let read = tokio::task::spawn_blocking(move || letters(&*store, &name)).await;
    let letters = read.unwrap_or_else(|panic| Err(StoreError::backend(panic)));
    letters.map(Json).map_err(Refusal::Store)
}

/// The oldest dead letters of a module.
pub(crate) fn letters(store: &dyn StateStore, name: &ModuleName) -> Result<Vec<Letter>, StoreError> {
    let mut letters = Vec::new();
    admin::dead_letters(&*store.view()?, name, &mut |letter| {
        letters.push(Letter::from(letter));
        if letters.len() < DEAD_LETTERS_PER_ANSWER_MAX {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    Ok(letters)
}
