//! The running side of the socket.

mod state;

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path as PathOf, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use nexum_core::loader::Loaded;
use nexum_core::names::ModuleName;
use nexum_core::runner::{ModuleStatus, OrderError};
use nexum_core::state::{DeadLetter, admin};
use nexum_core::store::{StateStore, StoreError};
use nexum_core::supervisor::{SteerError, Steering};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

use super::query::answer;
use crate::modules::Workshop;
use crate::protocol::view::{self, Letter};
use crate::protocol::{DEAD_LETTERS_PER_ANSWER_MAX, IMPORT, MODULES, SOCKET, STATE};
use crate::report::{Refusal, Refusals};

/// How large the body of a request may be: it has two paths and a name.
const BODY_BYTES_MAX: usize = 64 * 1_024;

/// How many requests are answered at a time; others wait. Each is of an operator.
const REQUESTS_MAX: usize = 8;

/// What is steered.
#[derive(Clone)]
pub(crate) struct Steered {
    pub(crate) steering: Steering,
    pub(crate) workshop: Workshop,
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
            .route("/", get(list).post(load))
            .route("/{name}", get(show).delete(remove))
            .route("/{name}/limits", get(limits))
            .route("/{name}/reload", post(reload))
            .route("/{name}/restart", post(restart))
            .route("/{name}/stop", post(stop))
            .route("/{name}/start", post(start))
            .route("/{name}/dead-letters", get(dead_letters))
            .route("/{name}/dead-letters/{event}", delete(skip))
            .route("/{name}/dead-letters/{event}/retry", post(retry));
        let queries = answer::router(steered.steering.clone());
        let router = Router::new()
            .route(STATE, post(state::perform))
            .route(IMPORT, post(state::import))
            .nest(MODULES, modules)
            .merge(queries)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .layer(from_fn_with_state(Arc::new(Semaphore::new(REQUESTS_MAX)), one_of_few))
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

async fn one_of_few(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    // The semaphore is never closed.
    let _place = places.acquire().await;
    next.run(request).await
}

/// Why something was not done, and whose fault that is.
pub(super) struct Denied(pub(super) StatusCode, pub(super) Refusals);

type Answer<T> = Result<Json<T>, Denied>;

impl Denied {
    pub(super) fn of(status: StatusCode, error: &dyn std::error::Error) -> Self {
        Self(status, Refusal::of(error).into())
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl From<SteerError> for Denied {
    fn from(error: SteerError) -> Self {
        let status = match &error {
            SteerError::NoModule(_) | SteerError::Order(OrderError::NoLetter(_)) => StatusCode::NOT_FOUND,
            SteerError::NotRunning | SteerError::Commit(_) | SteerError::Order(OrderError::Store(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::CONFLICT,
        };
        Self::of(status, &error)
    }
}

impl From<OrderError> for Denied {
    fn from(error: OrderError) -> Self {
        SteerError::from(error).into()
    }
}

impl From<StoreError> for Denied {
    fn from(error: StoreError) -> Self {
        Self::of(StatusCode::SERVICE_UNAVAILABLE, &error)
    }
}

impl From<Refusals> for Denied {
    fn from(refusals: Refusals) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, refusals)
    }
}

impl Steered {
    fn module(&self, name: &str) -> Result<Arc<ModuleStatus>, Denied> {
        let name = name_of(name)?;
        Ok(self.steering.module(&name)?)
    }

    /// A module of either kind, as it is now.
    fn view(&self, name: &ModuleName) -> Result<view::Module, SteerError> {
        match self.steering.query(name) {
            Ok(pool) => Ok(view::Module::of_queries(&pool)),
            Err(_) => Ok(view::Module::of(&*self.steering.module(name)?)),
        }
    }

    /// Goes on with what the module's files are now.
    pub(crate) async fn reload(&self, name: &ModuleName) -> Result<(), Refusals> {
        let of_events = || Ok(self.steering.module(name)?.module().origin.clone());
        let origin = self.steering.query(name).map(|pool| pool.module().origin.clone());
        let origin = origin
            .or_else(|_| of_events())
            .map_err(|error: SteerError| Refusal::of(&error))?;
        let path = origin.path.display().to_string();
        let loaded = self.workshop.build(origin).await?;
        let found = &loaded.meta().name;
        if found != name {
            let error = format!("{path}: the module is called {found} now");
            let hint = "remove the old one and load the new one: each has a state of its own";
            return Err(Refusal::new(error).with_hint(hint).into());
        }
        let reloaded = match loaded {
            Loaded::Event(module) => self.steering.reload(*module).await,
            Loaded::Query(module) => self.steering.reload_query(*module).await,
        };
        reloaded.map_err(|error| Refusal::of(&error).into())
    }

    /// A dead letter of this name.
    async fn letter(&self, name: &ModuleName, event: &str) -> Result<DeadLetter, Denied> {
        let letters = self.letters(name, usize::MAX).await?;
        let found = letters.into_iter().find(|letter| letter.id.to_string() == event);
        found.ok_or_else(|| {
            let refusal = Refusal::new(format!("{name} has no dead letter {event}"));
            let hint = format!("`nexum dead-letter list {name}` shows those that it has");
            Denied(StatusCode::NOT_FOUND, refusal.with_hint(hint).into())
        })
    }

    /// The oldest dead letters of a module.
    async fn letters(&self, name: &ModuleName, count_max: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let (store, name) = (self.store.clone(), name.clone());
        let read = tokio::task::spawn_blocking(move || {
            let mut letters = Vec::new();
            admin::dead_letters(&*store.view()?, &name, &mut |letter| {
                letters.push(letter);
                match letters.len() < count_max {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            })?;
            Ok(letters)
        });
        read.await.unwrap_or_else(|panic| Err(StoreError::backend(panic)))
    }
}

fn name_of(name: &str) -> Result<ModuleName, Denied> {
    name.parse()
        .map_err(|error| Denied::of(StatusCode::UNPROCESSABLE_ENTITY, &error))
}

async fn list(State(steered): State<Steered>) -> Json<Vec<view::Module>> {
    let (modules, queries) = (steered.steering.modules(), steered.steering.queries());
    let modules = modules.iter().map(|status| view::Module::of(status));
    let queries = queries.iter().map(|pool| view::Module::of_queries(pool));
    let mut all: Vec<_> = modules.chain(queries).collect();
    for (origin, meta) in steered.workshop.loading() {
        // One that is reloaded is what it was meanwhile.
        if all.iter().all(|module| module.name != meta.name.as_str()) {
            all.push(view::Module::of_loading(&origin, &meta));
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Json(all)
}

async fn show(State(steered): State<Steered>, PathOf(name): PathOf<String>) -> Answer<view::Module> {
    Ok(Json(steered.view(&name_of(&name)?)?))
}

async fn load(State(steered): State<Steered>, wanted: Result<Json<view::Load>, JsonRejection>) -> Answer<view::Module> {
    let Json(wanted) = wanted.map_err(|error| Denied::of(StatusCode::UNPROCESSABLE_ENTITY, &error))?;
    let config = wanted.config();
    let config = config.map_err(|error| Denied::of(StatusCode::UNPROCESSABLE_ENTITY, &error))?;
    let loaded = steered.workshop.build(config).await?;
    let name = loaded.meta().name.clone();
    match loaded {
        Loaded::Event(module) => steered.steering.load(*module).await?,
        Loaded::Query(module) => steered.steering.load_query(*module).await?,
    }
    Ok(Json(steered.view(&name)?))
}

async fn remove(State(steered): State<Steered>, PathOf(name): PathOf<String>) -> Answer<()> {
    let name = name_of(&name)?;
    tracing::info!(module = name.as_str(), "the operator removes the module");
    Ok(Json(steered.steering.remove(&name).await?))
}

async fn limits(State(steered): State<Steered>, PathOf(name): PathOf<String>) -> Answer<Vec<view::Usage>> {
    let name = name_of(&name)?;
    let usages = match steered.steering.query(&name) {
        Ok(pool) => view::usages(&pool.module().meta.limits, &pool.consumption()),
        Err(_) => {
            let status = steered.steering.module(&name)?;
            view::usages(&status.module().meta.limits, &status.consumption())
        }
    };
    Ok(Json(usages))
}

async fn reload(State(steered): State<Steered>, PathOf(name): PathOf<String>) -> Answer<view::Module> {
    let name = name_of(&name)?;
    // One that is not there is no fault of its files.
    steered.view(&name)?;
    tracing::info!(module = name.as_str(), "the operator reloads the module");
    steered.reload(&name).await?;
    Ok(Json(steered.view(&name)?))
}

async fn restart(State(steered): State<Steered>, PathOf(name): PathOf<String>) -> Answer<view::Module> {
    let status = steered.module(&name)?;
    tracing::info!(module = name, "the operator restarts the module");
    status.restart().await?;
    Ok(Json(view::Module::of(&status)))
}

async fn stop(State(steered): State<Steered>, PathOf(name): PathOf<String>) -> Answer<view::Module> {
    let status = steered.module(&name)?;
    tracing::info!(module = name, "the operator stops the module");
    status.stop().await?;
    Ok(Json(view::Module::of(&status)))
}

async fn start(State(steered): State<Steered>, PathOf(name): PathOf<String>) -> Answer<view::Module> {
    let status = steered.module(&name)?;
    tracing::info!(module = name, "the operator starts the module");
    status.start().await?;
    Ok(Json(view::Module::of(&status)))
}

async fn dead_letters(State(steered): State<Steered>, PathOf(name): PathOf<String>) -> Answer<Vec<Letter>> {
    let status = steered.module(&name)?;
    let letters = steered.letters(status.name(), DEAD_LETTERS_PER_ANSWER_MAX).await?;
    Ok(Json(letters.into_iter().map(Letter::from).collect()))
}

async fn retry(State(steered): State<Steered>, PathOf((name, event)): PathOf<(String, String)>) -> Answer<()> {
    let status = steered.module(&name)?;
    let letter = steered.letter(status.name(), &event).await?;
    tracing::info!(module = name, event, "the operator has a dead letter tried again");
    Ok(Json(status.retry(letter.id).await?))
}

async fn skip(State(steered): State<Steered>, PathOf((name, event)): PathOf<(String, String)>) -> Answer<()> {
    let status = steered.module(&name)?;
    let letter = steered.letter(status.name(), &event).await?;
    tracing::info!(module = name, event, "the operator skips a dead letter");
    Ok(Json(status.skip(letter.id).await?))
}
