//! The server of the control socket.

mod api_error;
mod control_state;
mod input;
mod output;
mod state;

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path as PathOf, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use nexum_core::supervisor::SteerError;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

use self::api_error::ApiError;
use self::control_state::name_of;
use super::peer::Peer;
use super::query::answer::{self, Answering};
use super::systemd::Service;
use crate::protocol::view::{self, Letter};
use crate::protocol::{DEAD_LETTERS_PER_ANSWER_MAX, IMPORT, MODULES, SOCKET, STATE, socket_in};
use crate::report::Refusal;
use crate::report::functions::Function;

pub(crate) use self::control_state::ControlState;

/// The largest body of a request, in bytes: it has two paths and a name.
const BODY_BYTES_MAX: usize = 64 * 1_024;

/// The longest time for a body to arrive. The client is on this machine.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// The most concurrent requests of a kind. Others wait. Each is from an operator.
const REQUESTS_MAX: usize = 8;

/// Serves the control socket. Reports to `service` when the socket listens. If that fails, logs the error
/// and waits forever, because modules run without the socket.
pub(crate) async fn serve(state_dir: &Path, control: ControlState, service: &Service) -> Infallible {
    let opened = ControlSocket::open(state_dir);
    service.listens().await;
    let served = match opened {
        Ok(socket) => socket.serve(control).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, "commands cannot reach nexum: there is no socket in the state directory");
    }
    std::future::pending().await
}

/// The socket. Dropping it removes the file.
struct ControlSocket {
    listener: Option<UnixListener>,
    path: PathBuf,
}

impl ControlSocket {
    /// Opens the socket in a state directory. Replaces the socket of a dead process.
    ///
    /// # Errors
    ///
    /// If another process listens on the socket, or the socket cannot be created.
    fn open(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(SOCKET);
        fs::create_dir_all(state_dir)?;
        let (short, _open) = socket_in(state_dir)?;
        if UnixStream::connect(short).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The socket gets its name after its mode, so that no other user can open it in between.
        let hidden = tempfile::Builder::new().prefix(".socket").tempdir_in(state_dir);
        // Without the path in tempfile's error, which can contain the content of a variable.
        let hidden = hidden.map_err(|error| io::Error::from(error.kind()))?;
        let unnamed = hidden.path().join(SOCKET);
        let (short, _open) = socket_in(hidden.path())?;
        let listener = UnixListener::bind(short)?;
        fs::set_permissions(&unnamed, fs::Permissions::from_mode(0o600))?;
        fs::rename(&unnamed, &path)?;
        Ok(Self {
            listener: Some(listener),
            path,
        })
    }

    /// Answers requests until it is dropped.
    async fn serve(mut self, control: ControlState) -> io::Result<()> {
        let Some(listener) = self.listener.take() else {
            return Ok(());
        };
        let looks = Router::new()
            .route("/", get(list))
            .route("/{name}", get(show))
            .route("/{name}/limits", get(limits))
            .route("/{name}/functions", get(functions))
            .route("/{name}/dead-letters", get(dead_letters))
            .route("/{name}/dead-letters/{event}", get(dead_letter));
        let builds = Router::new()
            .route("/", post(load))
            .route("/{name}/reload", post(reload));
        let commands = Router::new()
            .route("/{name}", delete(remove))
            .route("/{name}/restart", post(restart))
            .route("/{name}/stop", post(stop))
            .route("/{name}/start", post(start))
            .route("/{name}/dead-letters/{event}", delete(skip))
            .route("/{name}/dead-letters/{event}/retry", post(retry));
        let modules = few(looks).merge(few(builds)).merge(few(commands));
        let router = Router::new()
            .nest(MODULES, modules)
            .merge(few(Router::new().route(STATE, post(state::perform))))
            .layer(from_fn(with_whole_body))
            .merge(few(Router::new().route(IMPORT, post(state::import))))
            .merge(few(answer::router(Answering {
                host: control.host.clone(),
                // A process that may open the socket may control the daemon.
                may_write: true,
            })))
            .with_state(control);
        axum::serve(listener, router.into_make_service_with_connect_info::<Peer>()).await
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // The whole directory may have been removed.
        let _ = fs::remove_file(&self.path);
    }
}

/// Limits these routes to [`REQUESTS_MAX`] concurrent requests. Each kind of work has its own
/// limit, so that `nexum status` answers while the daemon compiles modules and exports state.
fn few<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.layer(from_fn_with_state(Arc::new(Semaphore::new(REQUESTS_MAX)), one_of_few))
}

async fn one_of_few(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    // The semaphore is never closed.
    let _place = places.acquire().await;
    next.run(request).await
}

/// Reads the body of a request before the request counts as concurrent: a client that stops sending
/// blocks no other client.
async fn with_whole_body(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let read = axum::body::to_bytes(body, BODY_BYTES_MAX);
    let refusal = match tokio::time::timeout(BODY_TIME_MAX, read).await {
        Ok(Ok(body)) => return next.run(Request::from_parts(head, body.into())).await,
        Ok(Err(error)) => Refusal::of(&error),
        Err(_) => Refusal::new(format!("the request was not sent within {BODY_TIME_MAX:?}")),
    };
    ApiError(StatusCode::UNPROCESSABLE_ENTITY, refusal.into()).into_response()
}

type Answer<T> = Result<Json<T>, ApiError>;

async fn list(State(control): State<ControlState>) -> Json<Vec<view::Module>> {
    // First, so that a module that starts meanwhile is in one of the lists.
    let loading = control.host.loading();
    let modules = control.supervisor.all();
    let troubled = control.host.troubled_chains();
    let view = |module| view::Module::of(module, &troubled);
    let mut all: Vec<_> = modules.iter().filter_map(view).collect();
    for loading in loading {
        // During a reload, the list shows the running module.
        if all.iter().all(|module| module.name != loading.meta.name.as_str()) {
            all.push(view::Module::of_loading(&loading));
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    let refused = control.refused.missing(&control.host).into_iter();
    all.extend(refused.map(|(path, reason)| view::Module::of_refused(path, reason)));
    Json(all)
}

async fn show(State(control): State<ControlState>, PathOf(name): PathOf<String>) -> Answer<view::Module> {
    Ok(Json(control.view(&name_of(&name)?)?))
}

async fn load(
    State(control): State<ControlState>,
    wanted: Result<Json<view::Load>, JsonRejection>,
) -> Answer<view::Module> {
    let Json(wanted) = wanted.map_err(|error| ApiError::of(StatusCode::UNPROCESSABLE_ENTITY, &error))?;
    let config = wanted.config();
    let config = config.map_err(|error| ApiError::of(StatusCode::UNPROCESSABLE_ENTITY, &error))?;
    let name = control.host.load(config).await?;
    tracing::info!(module = name.as_str(), "the operator loaded the module");
    Ok(Json(control.view(&name)?))
}

async fn remove(State(control): State<ControlState>, PathOf(name): PathOf<String>) -> Answer<()> {
    let name = name_of(&name)?;
    control.view(&name)?;
    tracing::info!(module = name.as_str(), "the operator removes the module");
    Ok(Json(control.supervisor.remove(&name).await?))
}

async fn limits(State(control): State<ControlState>, PathOf(name): PathOf<String>) -> Answer<Vec<view::Usage>> {
    let name = name_of(&name)?;
    let module = control.running(&name)?;
    let (_, meta) = module.origin().ok_or_else(|| SteerError::NoModule(name))?;
    Ok(Json(view::usages(&meta, &module.consumption())))
}

async fn functions(State(control): State<ControlState>, PathOf(name): PathOf<String>) -> Answer<Vec<Function>> {
    let pool = control.running(&name_of(&name)?)?.queries;
    let functions = pool.iter().flat_map(|pool| pool.module().functions.iter());
    Ok(Json(functions.map(Function::from).collect()))
}

async fn reload(State(control): State<ControlState>, PathOf(name): PathOf<String>) -> Answer<view::Reloaded> {
    let name = name_of(&name)?;
    // A module that does not exist is not an error in the module's files.
    control.view(&name)?;
    tracing::info!(module = name.as_str(), "the operator reloads the module");
    let change = control.host.reload(&name).await?.change();
    let module = control.view(&name)?;
    Ok(Json(view::Reloaded { module, change }))
}

async fn restart(State(control): State<ControlState>, PathOf(name): PathOf<String>) -> Answer<view::Module> {
    let status = control.module(&name)?;
    tracing::info!(module = name, "the operator restarts the module");
    status.restart().await?;
    Ok(Json(control.view(status.name())?))
}

async fn stop(State(control): State<ControlState>, PathOf(name): PathOf<String>) -> Answer<view::Module> {
    let status = control.module(&name)?;
    tracing::info!(module = name, "the operator stops the module");
    status.stop().await?;
    Ok(Json(control.view(status.name())?))
}

async fn start(State(control): State<ControlState>, PathOf(name): PathOf<String>) -> Answer<view::Module> {
    let status = control.module(&name)?;
    tracing::info!(module = name, "the operator starts the module");
    status.start().await?;
    Ok(Json(control.view(status.name())?))
}

async fn dead_letters(State(control): State<ControlState>, PathOf(name): PathOf<String>) -> Answer<Vec<Letter>> {
    let status = control.module(&name)?;
    let letters = control.letters(status.name(), DEAD_LETTERS_PER_ANSWER_MAX).await?;
    Ok(Json(letters.into_iter().map(Letter::from).collect()))
}

async fn dead_letter(
    State(control): State<ControlState>,
    PathOf((name, event)): PathOf<(String, String)>,
) -> Answer<Letter> {
    let status = control.module(&name)?;
    Ok(Json(control.letter(status.name(), &event).await?.into()))
}

async fn retry(State(control): State<ControlState>, PathOf((name, event)): PathOf<(String, String)>) -> Answer<()> {
    let status = control.module(&name)?;
    let letter = control.letter(status.name(), &event).await?;
    tracing::info!(module = name, event, "the operator retries a dead letter");
    Ok(Json(status.retry(letter.id).await?))
}

async fn skip(State(control): State<ControlState>, PathOf((name, event)): PathOf<(String, String)>) -> Answer<()> {
    let status = control.module(&name)?;
    let letter = control.letter(status.name(), &event).await?;
    tracing::info!(module = name, event, "the operator skips a dead letter");
    Ok(Json(status.skip(letter.id).await?))
}
