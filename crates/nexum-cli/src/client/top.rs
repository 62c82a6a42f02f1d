//! `nexum top`: the running daemon in a terminal, live. It reads the API alone, as the operator's page does, and never
//! changes the daemon.
//!
//! Three tasks share one [`Model`] on one thread: one asks the daemon, one follows its events, and one reads keys and
//! draws.

mod draw;
mod keys;
mod model;
mod needs;
mod past;
mod screen;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use self::keys::Flow;
use self::model::{Answers, Model};
use self::screen::Screen;
use super::status::now_ms;
use super::stream::{End, Followed, RECONNECT_AFTER};
use super::{Client, JSON, read};
use crate::exit_code::STOPPED;
use crate::protocol::event_part::whole_ms;
use crate::protocol::events::EventRecord;
use crate::protocol::{CHAINS, EVENTS, HEALTH, MODULES};
use crate::report::print::terminal_has_colours;
use crate::report::{Refusal, Refusals, span};

/// The wait between two looks at the daemon.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A look takes at most one part in so many of the time: a slow daemon has other work to do.
const LOOK_SHARE: u32 = 10;

/// The wait after an event that changes the answers, however many of them arrive.
const LOOK_SOON: Duration = Duration::from_millis(500);

/// The longest wait for an answer. A daemon that needs longer is shown as lost.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The time between two looks at the keyboard: too short to notice, and a negligible load.
const TICK: Duration = Duration::from_millis(50);

/// The screen changes at least this often, because it shows ages.
const DRAW_EVERY: Duration = Duration::from_secs(1);

/// Shows the daemon until the operator leaves.
///
/// # Errors
///
/// If this is no terminal, no daemon answers at the start, or the terminal fails.
pub(crate) fn top(client: &Client<'_>) -> Result<u8, Refusals> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        let refusal = Refusal::new("`nexum top` needs a terminal, and this is none");
        return Err(refusal
            .with_hint("use `nexum status`, or `nexum status --watch`")
            .into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refusal::of(&error))?;
    runtime.block_on(run(client))
}

async fn run(client: &Client<'_>) -> Result<u8, Refusals> {
    // An error here appears on the usual screen.
    let answers = look(client, None).await?;
    let failed = |error: io::Error| Refusal::new(format!("the terminal cannot be used: {error}"));
    let signals = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()].map(signal);
    let [mut terminated, mut hung_up, mut interrupted] = signals;
    let model = RefCell::new(Model::new(answers, terminal_has_colours(), now_ms()));
    let soon = Notify::new();
    let mut screen = Screen::open().map_err(failed)?;
    tokio::select! {
        left = show(&mut screen, &model, &soon) => left.map_err(failed)?,
        refusals = follow(client, &model, &soon) => return Err(refusals),
        never = look_again(client, &model, &soon) => match never {},
        Some(()) = received(&mut terminated) => {}
        Some(()) = received(&mut hung_up) => {}
        Some(()) = received(&mut interrupted) => {}
    }
    Ok(STOPPED)
}

/// The next signal. None if the process cannot handle this one.
async fn received(signal: &mut io::Result<tokio::signal::unix::Signal>) -> Option<()> {
    signal.as_mut().ok()?.recv().await
}

/// Asks the daemon for everything, and for the limits of the module that the operator looks at.
async fn look(client: &Client<'_>, module: Option<&str>) -> Result<Answers, Refusals> {
    let all = async {
        Ok(Answers {
            modules: get(client, MODULES).await?,
            chains: get(client, CHAINS).await?,
            health: get(client, HEALTH).await?,
            limits: match module {
                // A refused module has no limits.
                Some(name) => get(client, &format!("{MODULES}/{name}/limits"))
                    .await
                    .unwrap_or_default(),
                None => Vec::new(),
            },
        })
    };
    let late = || {
        Refusal::new(format!(
            "the daemon gave no answer within {}",
            span(whole_ms(ANSWER_WITHIN))
        ))
    };
    timeout(ANSWER_WITHIN, all).await.unwrap_or_else(|_| Err(late().into()))
}

async fn get<T: DeserializeOwned>(client: &Client<'_>, path: &str) -> Result<T, Refusals> {
    read(client.exchange(Method::GET, path, JSON, Bytes::new()).await?)
}

/// Asks the daemon again and again.
async fn look_again(client: &Client<'_>, model: &RefCell<Model>, soon: &Notify) -> Infallible {
    let mut took = Duration::ZERO;
    loop {
        tokio::select! {
            () = sleep(LOOK_EVERY.max(took * LOOK_SHARE)) => {}
            () = soon.notified() => sleep(LOOK_SOON.max(took * LOOK_SHARE)).await,
        }
        let begin = Instant::now();
        let module = model.borrow().opened();
        let looked = look(client, module.as_deref()).await;
        took = begin.elapsed();
        let mut model = model.borrow_mut();
        // The operator may have opened another module meanwhile.
        let is_same = model.opened() == module;
        let looked = looked.map(|answers| match is_same {
            true => answers,
            false => Answers {
                limits: Vec::new(),
                ..answers
            },
        });
        model.take(looked, now_ms());
    }
}

/// Follows the events of the daemon, and of the next one after its end. Returns only with a refusal.
async fn follow(client: &Client<'_>, model: &RefCell<Model>, soon: &Notify) -> Refusals {
    let mut last_id = None;
    let path = format!("{EVENTS}?limit=1");
    loop {
        let mut show = |followed: Followed<EventRecord>| {
            if model.borrow_mut().happened(followed) {
                soon.notify_one();
            }
        };
        // Each error is the end of the daemon, which a look reports.
        if let Ok(End::Refused(refusals)) = client.stream(&path, &mut last_id, &mut show).await {
            return refusals;
        }
        soon.notify_one();
        sleep(RECONNECT_AFTER).await;
    }
}

/// Reads keys and draws, until the operator leaves.
async fn show(screen: &mut Screen, model: &RefCell<Model>, soon: &Notify) -> io::Result<()> {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drawn: Option<Instant> = None;
    loop {
        tick.tick().await;
        while event::poll(Duration::ZERO)? {
            let mut model = model.borrow_mut();
            model.is_changed = true;
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => match keys::press(&mut model, key) {
                    Flow::Stay => {}
                    Flow::Look => soon.notify_one(),
                    Flow::Leave => return Ok(()),
                },
                _ => {}
            }
        }
        let mut model = model.borrow_mut();
        if std::mem::take(&mut model.is_changed) || drawn.is_none_or(|drawn| drawn.elapsed() >= DRAW_EVERY) {
            screen.draw(|frame| draw::draw(frame, &model, now_ms()))?;
            drawn = Some(Instant::now());
        }
    }
}
