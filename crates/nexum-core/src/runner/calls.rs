//! Calls of writeable functions, which a runner carries out between two events.

use std::collections::VecDeque;
use std::time::Duration;

use nexum_config::topic::Topic;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::call::{Call, CallError, Invocation};
use super::effects::Intents;
use super::feed::settled;
use super::mailbox::{CommandError, Turn};
use super::{ModuleStatus, Runner, Stage, StepError};
use crate::bindings::functions::nexum::functions::context::Caller;
use crate::event::{Position, RequestId};
use crate::module::failure::Failure;
use crate::module::instance::FunctionCall;
use crate::state::Cursors;

/// The most calls that a runner remembers for the report of a reorganisation. The newest ones are
/// those that a reorganisation undoes.
const REMEMBERED_MAX: usize = 64;

/// The time that a call has at least to reach an idle runner. The scheduler needs a small part of it
/// also on a busy machine, and a caller that does not want to wait hardly notices it.
const HAND_OVER_MIN: Duration = Duration::from_millis(50);

impl ModuleStatus {
    /// The turn of a call, if no other call has it.
    pub(crate) fn try_turn(&self) -> Option<Turn<'_>> {
        self.mailbox.try_turn()
    }

    /// Waits for the turn of a call until `begin_by`.
    pub(crate) async fn turn(&self, begin_by: Instant) -> Result<Turn<'_>, CallError> {
        let turn = timeout_at(begin_by, self.mailbox.turn()).await;
        let turn = turn.map_err(|_| CallError::TimedOut(self.stage()))?;
        turn.ok_or(CallError::Gone)
    }

    /// Carries out a writeable function between two events, in one transaction. The call has to
    /// begin before `begin_by`, or within the time that an idle runner needs. If the caller drops
    /// the future, a call that has begun still ends.
    pub(crate) async fn invoke(&self, _turn: Turn<'_>, call: Call, begin_by: Instant) -> Result<String, CallError> {
        if let stage @ (Stage::Dead | Stage::Stopped | Stage::Standby) = self.stage() {
            let reason = (stage != Stage::Stopped).then(|| self.reason().text);
            return Err(CallError::NotRunning(stage, reason));
        }
        let begin_by = begin_by.max(Instant::now() + HAND_OVER_MIN);
        let (done, mut outcome) = oneshot::channel();
        let offered = self.mailbox.offer(Invocation { call, done });
        let outcome = match timeout_at(begin_by, &mut outcome).await {
            Ok(outcome) => outcome,
            Err(_) if offered.withdraw() => return Err(CallError::TimedOut(self.stage())),
            // The runner has taken the call, whose end is within its deadline.
            Err(_) => outcome.await,
        };
        outcome.unwrap_or(Err(CallError::Gone))
    }
}

/// The calls whose changes a reorganisation could undo, oldest first.
#[derive(Debug, Default)]
pub(super) struct RecentCalls(VecDeque<RecentCall>);

#[derive(Debug)]
struct RecentCall {
    request: RequestId,
    function: String,
    /// The cursors at the call. The changes depend on these blocks.
    cursors: Cursors,
}

impl RecentCalls {
    fn push(&mut self, call: RecentCall) {
        if self.0.len() == REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(call);
    }

    /// Takes the calls that a revert of `topic` to the block `to` has undone.
    fn take_undone(&mut self, topic: Topic, to: Position) -> Vec<RecentCall> {
        let depends = |call: &RecentCall| {
            let last = call.cursors.get(topic).and_then(|cursor| cursor.last);
            last.is_some_and(|last| last.position.number > to.number)
        };
        let first = self.0.iter().position(depends).unwrap_or(self.0.len());
        self.0.drain(first..).collect()
    }
}

impl Runner {
    /// Carries out the call that waits, if there is one. Returns whether there was one.
    pub(super) async fn serve_call(&mut self) -> Result<bool, StepError> {
        let Some(Invocation { call, done }) = self.mailbox.take_call() else {
            return Ok(false);
        };
        let (outcome, halt) = match self.invoke(&call).await {
            Ok(result) => (Ok(result), None),
            Err(Halt::Call(error)) => (Err(error), None),
            Err(Halt::Step(error, reason)) => (Err(CallError::Store(reason)), Some(error)),
        };
        // The caller may have left.
        let _ = done.send(outcome);
        halt.map_or(Ok(true), Err)
    }

    async fn invoke(&mut self, call: &Call) -> Result<String, Halt> {
        let Call {
            request,
            function,
            args,
            caller,
        } = call;
        if self.module.functions.get(&function.name) != Some(function) {
            return Err(CallError::Changed.into());
        }
        self.instance_now().await?;
        let context = self.transaction.context();
        let Some(instance) = self.life.instance() else {
            return Err(CallError::Gone.into());
        };
        let invoked = FunctionCall {
            request: *request,
            name: Some(&function.name),
            args,
            caller,
        };
        let mut intents = Intents::new(&mut self.transaction, &self.feeds);
        let invoked = instance.invoke(invoked, Instant::now(), context, &mut intents).await;
        if let Some(error) = intents.failed {
            let reason = error.to_string();
            return Err(Halt::Step(error.into(), reason));
        }
        self.status.ran(instance);
        let checked = invoked.map_err(CallError::Failed).and_then(|(result, changes)| {
            let result = function.result(&result).map_err(CallError::Result)?;
            Ok((result, changes))
        });
        let (result, changes) = match checked {
            Ok(done) => done,
            Err(error) => {
                self.discard_instance().await;
                return Err(error.into());
            }
        };
        let is_change = !changes.is_empty();
        let committed = self
            .transaction
            .commit(changes, None, None, false, &settled(&self.feeds))
            .await;
        committed.map_err(|error| {
            let reason = error.to_string();
            Halt::Step(error.into(), reason)
        })?;
        if is_change {
            self.recent_calls.push(RecentCall {
                request: *request,
                function: function.name.clone(),
                cursors: self.transaction.cursors().clone(),
            });
        }
        tracing::info!(
            target: "nexum::query",
            module = self.module.meta.name.as_str(),
            function = function.name,
            request = request.0,
            caller = %Asking(caller),
            "a writeable function has ended"
        );
        Ok(result)
    }

    /// Creates an instance if there is none. A failure of `init` fails the call, and nexum retries
    /// it for the next event.
    async fn instance_now(&mut self) -> Result<(), Halt> {
        match self.start_now().await {
            Ok(()) => Ok(()),
            Err(CommandError::Failed(failure)) => match *failure {
                Failure::Store(reason) => Err(Halt::Step(StepError::Read(reason.clone().into()), reason)),
                failure => Err(CallError::Start(Box::new(failure)).into()),
            },
            Err(error) => Err(CallError::Store(error.to_string()).into()),
        }
    }

    /// Reports the calls whose changes a revert has undone.
    pub(super) fn report_undone_calls(&mut self, topic: Topic, to: Position) {
        for RecentCall { request, function, .. } in self.recent_calls.take_undone(topic, to) {
            tracing::warn!(
                target: "nexum::query",
                module = self.module.meta.name.as_str(),
                function,
                request = request.0,
                chain = topic.chain_id(),
                block = to.number,
                "a reorganisation has undone the changes of a function: call it again"
            );
        }
    }
}

/// The end of a call without a result.
enum Halt {
    /// The runner continues.
    Call(CallError),
    /// The store failed, for this reason, and the runner waits for it.
    Step(StepError, String),
}

impl From<CallError> for Halt {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// The caller in a log record.
struct Asking<'a>(&'a Caller);

impl std::fmt::Display for Asking<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Caller::Address(address) => write!(f, "address {address}"),
            Caller::Uid(uid) => write!(f, "uid {uid}"),
            Caller::Host => f.write_str("host"),
        }
    }
}
