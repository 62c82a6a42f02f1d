//! `[notify]`: messages to the operator about conditions that begin, last and end.
//!
//! Each receiver has a queue and a task of its own. A receiver that is slow or fails delays neither
//! the daemon nor another receiver.

mod command;
mod delivery;
mod webhook;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::command::Command;
use self::delivery::deliver_all;
use self::webhook::Webhook;
use super::conditions::Change;
use super::outgoing::Failed;
use crate::configure::NotifyConfig;
use crate::protocol::conditions::{ConditionKind, Notification, NotifyResult, Phase, Sender};

/// The target of records about notifications.
const TARGET: &str = "nexum::notify";

/// Counter: messages by `outcome`, which is one of [`OUTCOMES`].
const MESSAGES: &str = "nexum_notifications_total";

const DELIVERED: &str = "delivered";
const FAILED: &str = "failed";
const DROPPED: &str = "dropped";
const OUTCOMES: [&str; 3] = [DELIVERED, FAILED, DROPPED];

/// The most messages that wait for one receiver: a message about each module of a large
/// installation. nexum drops further ones, and counts them.
const WAITING_MAX: usize = 64;

/// The most messages in an hour: a chain that fails and recovers each minute makes as many.
const PER_HOUR_MAX: usize = 120;
const HOUR: Duration = Duration::from_secs(60 * 60);

/// How long the daemon waits at its end for messages that are on their way. It may end because its
/// modules are dead, which is worth a message.
const FINISH_TIME_MAX: Duration = Duration::from_secs(5);

/// Sends messages to the receivers of `[notify]`. A clone shares them.
#[derive(Clone)]
pub(crate) struct Notifier(Arc<Shared>);

struct Shared {
    receivers: Vec<Arc<Receiver>>,
    kinds: Vec<ConditionKind>,
    sender: Sender,
    queues: Mutex<Queues>,
}

struct Queues {
    /// One for each receiver. Empty after [`Notifier::finish`].
    queues: Vec<mpsc::Sender<Arc<String>>>,
    tasks: JoinSet<()>,
    /// The times of the messages of the last hour.
    sent: VecDeque<Instant>,
    /// The messages that exceeded [`PER_HOUR_MAX`] since the last one that did not.
    surplus: u64,
}

/// The destination of messages.
enum Receiver {
    Webhook(Webhook),
    Command(Command),
}

impl Receiver {
    /// The receiver for the log, without secrets.
    fn label(&self) -> &str {
        match self {
            Self::Webhook(webhook) => webhook.label(),
            Self::Command(command) => command.label(),
        }
    }

    /// Attempts one delivery.
    async fn deliver(&self, body: &str) -> Result<(), Failed> {
        match self {
            Self::Webhook(webhook) => webhook.deliver(body).await,
            Self::Command(command) => command.deliver(body).await,
        }
    }
}

impl Notifier {
    /// Starts a task for each receiver.
    pub(super) fn start(config: NotifyConfig) -> Self {
        let NotifyConfig {
            webhook,
            command,
            timeout,
            kinds,
        } = config;
        let webhook = webhook.map(|webhook| Receiver::Webhook(Webhook::new(webhook, timeout)));
        let command = command.map(|words| Receiver::Command(Command::new(words, timeout)));
        let receivers: Vec<_> = webhook.into_iter().chain(command).map(Arc::new).collect();
        if !receivers.is_empty() {
            describe_counter!(MESSAGES, Unit::Count, "messages of [notify], by their outcome");
            // Prometheus sees no increase in a series that begins with the first lost message.
            for outcome in OUTCOMES {
                count(outcome, 0);
            }
        }
        let mut tasks = JoinSet::new();
        let queues = receivers.iter().map(|receiver| {
            let (sender, queue) = mpsc::channel(WAITING_MAX);
            tasks.spawn(deliver_all(Arc::clone(receiver), queue));
            sender
        });
        let queues = queues.collect();
        Self(Arc::new(Shared {
            receivers,
            kinds,
            sender: Sender {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                host: host(),
            },
            queues: Mutex::new(Queues {
                queues,
                tasks,
                sent: VecDeque::new(),
                surplus: 0,
            }),
        }))
    }

    /// Sends a message about a condition. Never waits.
    pub(super) fn send(&self, change: Change, event: Option<String>) {
        let Change {
            phase,
            condition,
            since_ms,
        } = change;
        if !self.0.kinds.contains(&condition.kind) {
            return;
        }
        self.enqueue(&Notification {
            kind: Some(condition.kind),
            phase,
            module: condition.module,
            chain: condition.chain,
            account: condition.account,
            event,
            text: condition.text,
            since_ms,
            hint: condition.hint,
            nexum: self.0.sender.clone(),
        });
    }

    fn enqueue(&self, message: &Notification) {
        let Ok(body) = serde_json::to_string(message).map(Arc::new) else {
            return;
        };
        let mut queues = self.0.queues.lock();
        if queues.queues.is_empty() || !queues.admits(Instant::now()) {
            return;
        }
        for (queue, receiver) in queues.queues.iter().zip(&self.0.receivers) {
            if queue.try_send(Arc::clone(&body)).is_err() {
                count(DROPPED, 1);
                tracing::error!(
                    target: TARGET,
                    receiver = receiver.label(),
                    waiting = WAITING_MAX,
                    hint = "test the receiver with `nexum notify test`",
                    "a notification is dropped: too many wait for the receiver"
                );
            }
        }
    }

    /// Sends a test message to each receiver, once, and returns the results. There is none without
    /// receivers.
    pub(super) async fn test(&self, now_ms: u64) -> Vec<NotifyResult> {
        let message = Notification {
            kind: None,
            phase: Phase::Test,
            module: None,
            chain: None,
            account: None,
            event: None,
            text: "this is a test of the notifications of nexum".to_owned(),
            since_ms: now_ms,
            hint: "nothing is wrong; `nexum notify test` sent this message".to_owned(),
            nexum: self.0.sender.clone(),
        };
        let body = serde_json::to_string(&message).unwrap_or_default();
        let mut results = Vec::new();
        for receiver in &self.0.receivers {
            let delivered = receiver.deliver(&body).await;
            results.push(NotifyResult {
                receiver: receiver.label().to_owned(),
                error: delivered.err().map(|failed| failed.text),
            });
        }
        results
    }

    /// Waits until the messages that are on their way have arrived, for at most
    /// [`FINISH_TIME_MAX`]. No message can be sent afterwards.
    pub(super) async fn finish(&self) {
        let mut tasks = {
            let mut queues = self.0.queues.lock();
            queues.queues.clear();
            std::mem::take(&mut queues.tasks)
        };
        let delivered = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FINISH_TIME_MAX, delivered).await.is_err() {
            tracing::warn!(target: TARGET, "nexum ends before all notifications have arrived");
        }
    }
}

impl Queues {
    /// Whether another message is within [`PER_HOUR_MAX`].
    fn admits(&mut self, now: Instant) -> bool {
        while self.sent.front().is_some_and(|sent| now.duration_since(*sent) >= HOUR) {
            self.sent.pop_front();
        }
        if self.sent.len() >= PER_HOUR_MAX {
            count(DROPPED, 1);
            if self.surplus == 0 {
                tracing::error!(
                    target: TARGET,
                    per_hour = PER_HOUR_MAX,
                    hint = "`nexum events` shows all conditions that begin and end",
                    "nexum drops notifications: there were too many in the last hour"
                );
            }
            self.surplus += 1;
            return false;
        }
        self.sent.push_back(now);
        let surplus = std::mem::take(&mut self.surplus);
        if surplus > 0 {
            tracing::warn!(target: TARGET, dropped = surplus, "nexum sends notifications again");
        }
        true
    }
}

/// Counts messages.
fn count(outcome: &'static str, messages: u64) {
    counter!(MESSAGES, "outcome" => outcome).increment(messages);
}

/// The name of this machine.
fn host() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;
