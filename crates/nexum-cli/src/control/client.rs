//! The commands that ask a running nexum.

use std::path::Path;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use nexum_core::names::ModuleName;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::net::UnixStream;

use super::view::{Letter, Module, Refused, Usage};
use super::{ANSWER_BYTES_MAX, MODULES, SOCKET};
use crate::STOPPED;
use crate::args::Format;
use crate::report::{Refusal, Refusals, list, table};

/// A running nexum.
pub(crate) struct Client<'a> {
    state_dir: &'a Path,
}

impl<'a> Client<'a> {
    pub(crate) fn of(state_dir: &'a Path) -> Self {
        Self { state_dir }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusal> {
        self.ask(Method::GET, path)
    }

    /// Asks, on a runtime of its own: nothing else runs in this process.
    fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Refusal> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Refusal::of(&error))?;
        let (is_success, body) = runtime.block_on(self.exchange(method, path))?;
        let read = |error: serde_json::Error| Refusal::new(format!("the answer cannot be read: {error}"));
        if is_success {
            return serde_json::from_slice(&body).map_err(read);
        }
        let refused: Refused = serde_json::from_slice(&body).map_err(read)?;
        Err(Refusal::new(refused.error))
    }

    async fn exchange(&self, method: Method, path: &str) -> Result<(bool, Bytes), Refusal> {
        let socket = self.state_dir.join(SOCKET);
        let stream = UnixStream::connect(&socket).await.map_err(|error| {
            let refusal = Refusal::new(format!("no nexum runs in {}: {error}", self.state_dir.display()));
            refusal.with_hint("start it with `nexum run`, or name its configuration with --config")
        })?;
        let lost = |error: &dyn std::error::Error| Refusal::of(error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| lost(&error))?;
        let request = Request::builder().method(method).uri(path).header("host", "nexum");
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| lost(&error))?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(|error| lost(&error))?;
            let is_success = answer.status().is_success();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| Refusal::of(&*error))?;
            Ok((is_success, body.to_bytes()))
        };
        tokio::select! {
            answer = answer => answer,
            Err(error) = connection => Err(lost(&error)),
        }
    }
}

/// `nexum status`: every module of a running nexum.
pub(crate) fn status(client: &Client<'_>, format: Format) -> Result<u8, Refusals> {
    let modules: Vec<Module> = client.get(MODULES)?;
    match format {
        Format::Json => println!("{:#}", json!(modules)),
        Format::Text => {
            let mut rows = table(&[
                "MODULE",
                "STAGE",
                "HANDLED",
                "FAILED",
                "DEAD LETTERS",
                "MEMORY",
                "CATCHING UP",
            ]);
            for module in &modules {
                let catching_up = module.catching_up.iter();
                let counts = [module.handled, module.failed, module.dead_letters].map(|count| count.to_string());
                let [handled, failed, letters] = counts;
                rows.add_row([
                    module.name.clone(),
                    module.stage.clone(),
                    handled,
                    failed,
                    letters,
                    format!("{} KiB", module.memory_bytes >> 10),
                    list(catching_up.map(|up| format!("{}: {} of {}", up.chain, up.at, up.to))),
                ]);
            }
            println!("{rows}");
            for module in &modules {
                if let Some(reason) = &module.reason {
                    println!("\n{} is dead: {reason}", module.name);
                }
            }
        }
    }
    Ok(STOPPED)
}

/// `nexum limits`: what a module may use, and what it used.
pub(crate) fn limits(client: &Client<'_>, module: &ModuleName, format: Format) -> Result<u8, Refusals> {
    let usages: Vec<Usage> = client.get(&format!("{MODULES}/{module}/limits"))?;
    match format {
        Format::Json => println!("{:#}", json!(usages)),
        Format::Text => {
            let mut rows = table(&["LIMIT", "BOUND", "LAST", "MOST", "OF BOUND"]);
            for usage in &usages {
                let share = usage.most.saturating_mul(100) / usage.bound.max(1);
                let numbers = [usage.bound, usage.last, usage.most].map(|number| number.to_string());
                let [bound, last, most] = numbers;
                rows.add_row([usage.limit.clone(), bound, last, most, format!("{share} %")]);
            }
            println!("{rows}");
        }
    }
    Ok(STOPPED)
}

/// `nexum module restart`: has a dead module go on at the event that it died at.
pub(crate) fn restart(client: &Client<'_>, module: &ModuleName) -> Result<u8, Refusals> {
    let _: Module = client.ask(Method::POST, &format!("{MODULES}/{module}/restart"))?;
    println!("{module} goes on");
    Ok(STOPPED)
}

/// `nexum dead-letter list`: the events that a module could not handle.
pub(crate) fn dead_letters(client: &Client<'_>, module: &ModuleName, format: Format) -> Result<u8, Refusals> {
    let letters: Vec<Letter> = client.get(&format!("{MODULES}/{module}/dead-letters"))?;
    match format {
        Format::Json => println!("{:#}", json!(letters)),
        Format::Text => {
            let mut rows = table(&["EVENT", "ATTEMPTS", "REASON OF THE LAST"]);
            for letter in &letters {
                let reason = letter.attempts.last().map_or("", |attempt| &attempt.reason);
                let reason = reason.lines().next().unwrap_or_default();
                rows.add_row([
                    letter.event.clone(),
                    letter.attempts.len().to_string(),
                    reason.to_owned(),
                ]);
            }
            println!("{rows}");
        }
    }
    Ok(STOPPED)
}

/// `nexum dead-letter show`: one of them, with its attempts.
pub(crate) fn dead_letter(client: &Client<'_>, module: &ModuleName, event: &str) -> Result<u8, Refusals> {
    let letters: Vec<Letter> = client.get(&format!("{MODULES}/{module}/dead-letters"))?;
    let letter = letters.iter().find(|letter| letter.event == event);
    let letter = letter.ok_or_else(|| {
        let refusal = Refusal::new(format!("{module} has no dead letter {event}"));
        refusal.with_hint(format!("`nexum dead-letter list {module}` shows those that it has"))
    })?;
    println!("event   {}\nblock   {}", letter.event, letter.block_hash);
    for (number, attempt) in (1..).zip(&letter.attempts) {
        println!(
            "\nattempt {number}, at {} ms\n  {}",
            attempt.at_ms,
            attempt.reason.replace('\n', "\n  ")
        );
        if let Some(trip) = &attempt.trip {
            println!("  limit {}: {} of {}", trip.limit, trip.used, trip.bound);
        }
        attempt.records.iter().for_each(|record| println!("  | {record}"));
    }
    println!("\n{:#}", json!(letter.content));
    Ok(STOPPED)
}
