//! The commands that ask the running daemon.

#[cfg(feature = "identity")]
pub(crate) mod accounts;
pub(crate) mod chains;
mod done;
pub(crate) mod effects;
pub(crate) mod explain;
pub(crate) mod health;
pub(crate) mod logs;
mod problem;
pub(crate) mod query;
pub(crate) mod reload;
mod show;
mod state;
pub(crate) mod status;
mod stream;
#[cfg(feature = "top")]
pub(crate) mod top;

use std::io::{self, ErrorKind};
use std::path::Path;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::http::request;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use nexum_config::harmless::harmless;
use nexum_config::masked_path::MaskedPath;
use nexum_config::names::ModuleName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::args::{DeadLetter, Format, LoadModule, Module, Why};
use crate::configure::ConfigFile;
use crate::error_code::ErrorCode;
use crate::exit_code::{FAILED, STOPPED};
use crate::protocol::dead_letters::Letter;
use crate::protocol::error::ErrorBody;
use crate::protocol::lasting::Effect;
use crate::protocol::limits::Usage;
use crate::protocol::modules::{self, Load};
use crate::protocol::reason::{REASON_HEADER, encoded};
use crate::protocol::{ANSWER_BYTES_MAX, MODULES, SOCKET, socket_in};
use crate::report::print::outln;
use crate::report::{Refusal, Refusals};

/// The media types of requests.
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// The connection to a running daemon.
pub(crate) struct Client<'a> {
    state_dir: &'a MaskedPath,
    /// The configuration that names the state directory.
    file: Option<&'a ConfigFile>,
    /// The operator's reason of a command.
    reason: Option<&'a str>,
}

impl<'a> Client<'a> {
    pub(crate) fn of(state_dir: &'a MaskedPath) -> Self {
        Self {
            state_dir,
            file: None,
            reason: None,
        }
    }

    /// Gives the operator's reason with each command.
    pub(crate) fn because<'b>(&self, why: &'b Why) -> Client<'b>
    where
        'a: 'b,
    {
        Client {
            reason: why.reason.as_deref(),
            ..*self
        }
    }

    /// Errors name `file`, which names the state directory.
    #[must_use]
    pub(crate) fn configured_by(self, file: &'a ConfigFile) -> Self {
        Self {
            file: Some(file),
            ..self
        }
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusals> {
        self.ask(Method::GET, path, &())
    }

    fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusals> {
        self.ask(Method::POST, path, &())
    }

    /// Sends a request and reads its answer, on a runtime of its own: this process does nothing
    /// else.
    fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> Result<T, Refusals> {
        let body = serde_json::to_vec(body).map_err(|error| Refusal::of(&error))?;
        read(self.exchange_here(method, path, JSON, body.into())?)
    }

    /// Sends bytes. Returns the body of the response, and whether the request succeeded.
    pub(crate) fn post_bytes(&self, path: &str, body: Bytes) -> Result<(bool, Bytes), Refusal> {
        self.exchange_here(Method::POST, path, BYTES, body)
    }

    fn exchange_here(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<(bool, Bytes), Refusal> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Refusal::of(&error))?;
        runtime.block_on(self.exchange(method, path, kind, body))
    }

    async fn exchange(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<(bool, Bytes), Refusal> {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", kind);
        self.send(request, Full::new(body), async |answer| {
            let is_success = answer.status().is_success();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| Refusal::of(&*error))?;
            Ok((is_success, body.to_bytes()))
        })
        .await
    }

    /// Sends a request, and reads its answer with `read` while the connection is open.
    async fn send<B, T>(
        &self,
        request: request::Builder,
        body: B,
        read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        let connect = async {
            let (path, _open) = socket_in(self.state_dir)?;
            UnixStream::connect(path).await
        };
        let stream = connect.await.map_err(|error| self.unreachable(&error))?;
        let lost = |error: &(dyn std::error::Error + 'static)| Refusal::of(error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| lost(&error))?;
        let mut request = request.header("host", "nexum");
        if let Some(reason) = self.reason {
            request = request.header(REASON_HEADER, encoded(reason));
        }
        let request = request.body(body);
        let request = request.map_err(|error| lost(&error))?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(|error| lost(&error))?;
            read(answer).await
        };
        tokio::select! {
            answer = answer => answer,
            Err(error) = connection => Err(lost(&error)),
        }
    }

    /// The modules of the daemon.
    ///
    /// # Errors
    ///
    /// If no daemon answers.
    pub(crate) fn modules(&self) -> Result<Vec<modules::Module>, Refusals> {
        self.get(MODULES)
    }

    /// The reason why the socket cannot be opened.
    fn unreachable(&self, error: &io::Error) -> Refusal {
        let directory = match self.file {
            Some(file) => format!("{}, {}", self.state_dir.display(), file.state_directory()),
            None => self.state_dir.display().to_string(),
        };
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                let refusal = Refusal::new(format!("no nexum runs in {directory}: {error}"));
                let refusal = refusal.with_code(ErrorCode::DaemonNotRunning);
                refusal.with_hint("start it with `nexum run`, or name its configuration with --config")
            }
            kind => {
                let refusal = Refusal::new(format!("{SOCKET} in {directory} cannot be opened: {error}"));
                let refusal = refusal.with_code(ErrorCode::SocketUnusable);
                match kind {
                    ErrorKind::PermissionDenied => refusal.with_hint("run this command as the user that runs nexum"),
                    _ => refusal,
                }
            }
        }
    }

    fn letters(&self, module: &ModuleName) -> Result<Vec<Letter>, Refusals> {
        self.get(&format!("{MODULES}/{module}/dead-letters"))
    }
}

/// Reads the body of a response, or the error in it.
fn read<T: DeserializeOwned>((is_success, body): (bool, Bytes)) -> Result<T, Refusals> {
    let read = |error: serde_json::Error| Refusal::new(format!("the answer cannot be read: {error}"));
    match is_success {
        true => Ok(serde_json::from_slice(&body).map_err(read)?),
        false => {
            let error: ErrorBody = serde_json::from_slice(&body).map_err(read)?;
            Err(error.into())
        }
    }
}

/// `nexum limits`: shows the limits of a module, and its use of them.
pub(crate) fn limits(client: &Client<'_>, module: &ModuleName, format: Format) -> Result<u8, Refusals> {
    let usages: Vec<Usage> = client.get(&format!("{MODULES}/{module}/limits"))?;
    show::limits(&usages, format)?;
    Ok(STOPPED)
}

/// `nexum module`: lists and changes the modules of the running daemon.
pub(crate) fn module(client: &Client<'_>, command: &Module) -> Result<u8, Refusals> {
    match command {
        Module::List { format } => {
            show::modules(&client.modules()?, *format)?;
        }
        Module::Load(wanted) => {
            let changed: modules::Changed = client.because(&wanted.why).ask(Method::POST, MODULES, &load(wanted)?)?;
            say(&done::loaded(&changed.module), &changed.effect);
        }
        Module::Reload { module, why } => {
            let answer: modules::Reloaded = client.because(why).post(&format!("{MODULES}/{module}/reload"))?;
            outln!("{}", done::reloaded(&answer.module));
            if let Some(change) = answer.change {
                outln!("{change}");
            }
        }
        Module::Stop { module, why } => {
            let changed: modules::Changed = client.because(why).post(&format!("{MODULES}/{module}/stop"))?;
            say(&done::stopped(&changed), &changed.effect);
        }
        Module::Start { module, why } => {
            let changed: modules::Changed = client.because(why).post(&format!("{MODULES}/{module}/start"))?;
            say(&done::started(&changed), &changed.effect);
        }
        Module::Restart { module, why } => {
            let changed: modules::Changed = client.because(why).post(&format!("{MODULES}/{module}/restart"))?;
            say(&done::restarted(&changed.module), &changed.effect);
        }
        Module::Remove { module, why } => {
            let client = client.because(why);
            let effect: Effect = client.ask(Method::DELETE, &format!("{MODULES}/{module}"), &())?;
            say(&format!("{module} is removed; its state stays in the store"), &effect);
        }
    }
    Ok(STOPPED)
}

/// Prints the outcome of a command, and how long it lasts if a restart of nexum ends it.
fn say(done: &str, effect: &Effect) {
    outln!("{done}");
    if let Some(why) = &effect.why {
        outln!("this lasts until nexum ends: {}", harmless(why));
    }
}

/// Makes the paths absolute: the daemon may have another working directory.
fn load(wanted: &LoadModule) -> Result<Load, Refusal> {
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|error| Refusal::new(format!("{}: {error}", path.display())));
    Ok(Load {
        path: absolute(&wanted.path)?,
        manifest: wanted.manifest.as_deref().map(absolute).transpose()?,
        name: wanted.name.as_ref().map(ToString::to_string),
        reads: wanted.reads.iter().map(ToString::to_string).collect(),
        metering: wanted.metering.into(),
    })
}

/// The errors of a retry or a skip that concern one event alone.
const OF_ONE_EVENT: [ErrorCode; 2] = [ErrorCode::EventFailed, ErrorCode::DeadLetterNotFound];

/// `nexum dead-letter`: lists, retries and skips the events that a module failed to handle.
pub(crate) fn dead_letter(client: &Client<'_>, command: &DeadLetter) -> Result<u8, Refusals> {
    match command {
        DeadLetter::List { module, format } => show::letters(&client.letters(module)?, *format)?,
        DeadLetter::Show { module, event, format } => {
            let letter: Letter = client.get(&format!("{MODULES}/{module}/dead-letters/{event}"))?;
            show::letter(&letter, *format)?;
        }
        DeadLetter::Retry { module, events, why } => {
            let client = &client.because(why);
            let retry = |event: &str| client.post::<()>(&format!("{MODULES}/{module}/dead-letters/{event}/retry"));
            return each(client, module, events, "is handled", retry);
        }
        DeadLetter::Skip { module, events, why } => {
            let client = &client.because(why);
            let path = |event: &str| format!("{MODULES}/{module}/dead-letters/{event}");
            let skip = |event: &str| client.ask::<()>(Method::DELETE, &path(event), &());
            return each(client, module, events, "is skipped", skip);
        }
    }
    Ok(STOPPED)
}

/// Prints dead letters.
pub(crate) fn show_letters(letters: &[Letter], format: Format) -> Result<(), Refusal> {
    show::letters(letters, format)
}

/// Prints one dead letter, with its attempts.
pub(crate) fn show_letter(letter: &Letter, format: Format) -> Result<(), Refusal> {
    show::letter(letter, format)
}

/// Applies `act` to each of these dead letters, or to all of the module, in order. Continues after the failure of an
/// event, and ends at a refusal that every event would get.
fn each(
    client: &Client<'_>,
    module: &ModuleName,
    events: &crate::args::Letters,
    done: &str,
    act: impl Fn(&str) -> Result<(), Refusals>,
) -> Result<u8, Refusals> {
    let all: Vec<String> = match events.all {
        true => client.letters(module)?.into_iter().map(|letter| letter.event).collect(),
        false => events.events.clone(),
    };
    if all.is_empty() {
        outln!("{module} has no dead letters");
    }
    let mut outcome = STOPPED;
    for event in &all {
        match act(event) {
            Ok(()) => outln!("{event} {done}"),
            Err(refusals) if OF_ONE_EVENT.iter().any(|code| refusals.has(*code)) => {
                refusals.about(event).print();
                outcome = FAILED;
            }
            Err(refusals) => return Err(refusals.about(event)),
        }
    }
    Ok(outcome)
}
