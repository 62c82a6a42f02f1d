//! Messages to systemd, for a service of `Type=notify` or `Type=notify-reload` (`sd_notify(3)`).
//!
//! The parts of the daemon report their steps to a [`Service`]. One [`Reporter`] sends the messages, so
//! that they keep their order. Without `NOTIFY_SOCKET`, it sends nothing.
//!
//! - READY: the control socket listens, and every module has started, is refused, or waits for its
//!   chain. A socket that cannot be opened does not delay it, because the modules run without it.
//! - STATUS: one line about the modules, when it changes, at most once a second.
//! - RELOADING, and READY again: around a reload, also if nothing changes.
//! - STOPPING: before the modules end.
//! - WATCHDOG: see [`watchdog`].

mod notify;
mod status_line;
mod watchdog;

use std::convert::Infallible;
use std::time::Duration;

use nexum_core::HostHandle;
use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::notify::Notifier;
use self::status_line::status_line;
use super::refused::Refused;

/// The interval at which nexum looks for a change of the status line.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long systemd waits for the next message of a start that compiles modules. nexum repeats the
/// message each second, so this is the time that a blocked nexum has.
const START_EXTENSION: Duration = Duration::from_secs(60);

/// The most steps that wait for the reporter: each is a step of the start, the end, or one reload.
const STEPS_MAX: usize = 16;

/// A step of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The control socket listens, or cannot be opened.
    Listens,
    /// Every module has started, is refused, or waits.
    Started,
    ReloadBegins,
    ReloadEnds,
    Stops,
}

/// Reports the steps of the daemon. Clones report to one [`Reporter`].
#[derive(Clone)]
pub(super) struct Service(mpsc::Sender<Step>);

/// Sends the messages.
pub(super) struct Reporter {
    steps: mpsc::Receiver<Step>,
    notifier: Notifier,
    progress: Progress,
    /// Cancelled when the daemon stops.
    stop: CancellationToken,
}

/// The messages so far.
#[derive(Default)]
struct Progress {
    listens: bool,
    has_started: bool,
    reloads: bool,
    is_ready: bool,
    stops: bool,
    status: String,
}

/// The sources of the status line.
#[derive(Clone)]
pub(super) struct Modules {
    pub(super) host: HostHandle,
    pub(super) refused: Refused,
}

/// The service, and the reporter of its steps. `stop` is cancelled when the daemon stops.
pub(super) fn service(stop: CancellationToken) -> (Service, Reporter) {
    let (sender, steps) = mpsc::channel(STEPS_MAX);
    let reporter = Reporter {
        steps,
        notifier: Notifier::of_environment(),
        progress: Progress::default(),
        stop,
    };
    (Service(sender), reporter)
}

impl Service {
    /// The control socket listens, or nexum runs without it.
    pub(super) async fn listens(&self) {
        self.report(Step::Listens).await;
    }

    /// Every module has started, is refused, or waits for its chain.
    pub(super) async fn started(&self) {
        self.report(Step::Started).await;
    }

    /// A reload begins. Call [`reload_ends`](Self::reload_ends) after it, whatever its outcome.
    pub(super) async fn reload_begins(&self) {
        self.report(Step::ReloadBegins).await;
    }

    /// A reload has ended.
    pub(super) async fn reload_ends(&self) {
        self.report(Step::ReloadEnds).await;
    }

    /// The daemon stops.
    pub(super) async fn stops(&self) {
        self.report(Step::Stops).await;
    }

    async fn report(&self, step: Step) {
        // The reporter has ended with the run.
        let _ = self.0.send(step).await;
    }
}

impl Reporter {
    /// Sends the messages of each step, the status line, and the watchdog's. Never returns.
    pub(super) async fn run(&mut self, modules: &Modules) -> Infallible {
        let Self {
            steps,
            notifier,
            progress,
            stop,
        } = self;
        let report = async {
            let mut looks = tokio::time::interval(LOOK_EVERY);
            loop {
                let step = tokio::select! {
                    Some(step) = steps.recv() => Some(step),
                    _ = looks.tick() => None,
                };
                if !notifier.is_supervised() {
                    continue;
                }
                let status = modules.status_line();
                let mut messages = progress.take(step, &status);
                if !progress.has_started && !modules.host.loading().is_empty() {
                    messages.push(extension());
                }
                notifier.send(messages).await;
            }
        };
        tokio::select! {
            never = report => never,
            never = watchdog::report(&modules.host, stop, notifier) => never,
        }
    }

    /// Sends that the daemon stops, if [`run`](Self::run) has not. Call it before the process ends.
    pub(super) async fn finish(mut self) {
        let status = self.progress.status.clone();
        let messages = self.progress.take(Some(Step::Stops), &status);
        self.notifier.send(messages).await;
    }
}

fn extension() -> NotifyState<'static> {
    let micros = u32::try_from(START_EXTENSION.as_micros()).unwrap_or(u32::MAX);
    NotifyState::ExtendTimeoutUsec(micros)
}

impl Modules {
    fn status_line(&self) -> String {
        status_line(&self.host, &self.refused)
    }
}

impl Progress {
    /// The messages after a step, with the present status line.
    fn take<'a>(&mut self, step: Option<Step>, status: &'a str) -> Vec<NotifyState<'a>> {
        let mut messages = Vec::new();
        match step {
            None => {}
            Some(Step::Listens) => self.listens = true,
            Some(Step::Started) => self.has_started = true,
            Some(Step::ReloadBegins) => {
                self.reloads = true;
                self.is_ready = false;
                messages.push(NotifyState::Reloading);
                // Without this time, systemd 253 and later take the reload for failed.
                messages.extend(NotifyState::monotonic_usec_now().ok());
            }
            Some(Step::ReloadEnds) => self.reloads = false,
            Some(Step::Stops) if !self.stops => {
                self.stops = true;
                messages.push(NotifyState::Stopping);
            }
            Some(Step::Stops) => {}
        }
        let is_ready = self.listens && self.has_started && !self.reloads && !self.stops;
        if is_ready && !self.is_ready {
            self.is_ready = true;
            messages.push(NotifyState::Ready);
        }
        if self.status != status {
            self.status = status.to_owned();
            messages.push(NotifyState::Status(status));
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of the messages, without the times.
    fn texts(progress: &mut Progress, step: Option<Step>, status: &str) -> Vec<String> {
        let messages = progress.take(step, status);
        let timeless = |message: NotifyState<'_>| message.to_string().split("USEC=").next().map(str::to_owned);
        messages.into_iter().filter_map(timeless).collect()
    }

    #[test]
    fn a_service_is_ready_when_it_listens_and_every_module_has_started() {
        for steps in [[Step::Listens, Step::Started], [Step::Started, Step::Listens]] {
            let mut progress = Progress::default();
            assert_eq!(texts(&mut progress, None, "starting"), ["STATUS=starting"]);
            assert_eq!(texts(&mut progress, None, "starting"), [""; 0]);
            assert_eq!(texts(&mut progress, Some(steps[0]), "starting"), [""; 0]);
            assert_eq!(
                texts(&mut progress, Some(steps[1]), "running"),
                ["READY=1", "STATUS=running"]
            );
            assert_eq!(texts(&mut progress, None, "running"), [""; 0]);
        }
    }

    #[test]
    fn a_reload_is_between_two_messages_and_a_stop_is_the_last() {
        let mut progress = Progress::default();
        for step in [Step::Listens, Step::Started] {
            progress.take(Some(step), "a");
        }
        let reloading = texts(&mut progress, Some(Step::ReloadBegins), "a");
        assert_eq!(reloading, ["RELOADING=1", "MONOTONIC_"]);
        assert_eq!(texts(&mut progress, None, "b"), ["STATUS=b"]);
        assert_eq!(texts(&mut progress, Some(Step::ReloadEnds), "b"), ["READY=1"]);
        assert_eq!(texts(&mut progress, Some(Step::Stops), "c"), ["STOPPING=1", "STATUS=c"]);
        assert_eq!(texts(&mut progress, Some(Step::ReloadEnds), "c"), [""; 0]);
        assert_eq!(texts(&mut progress, Some(Step::Stops), "c"), [""; 0]);
    }

    #[test]
    fn a_reload_before_the_end_of_the_start_makes_nothing_ready() {
        let mut progress = Progress::default();
        progress.take(Some(Step::Listens), "");
        progress.take(Some(Step::ReloadBegins), "");
        assert_eq!(texts(&mut progress, Some(Step::ReloadEnds), ""), [""; 0]);
        assert_eq!(texts(&mut progress, Some(Step::Started), ""), ["READY=1"]);
    }
}
