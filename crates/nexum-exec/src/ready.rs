//! A command that can be entered.

use std::fmt;

use nexum_core::engine::Engine;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, timeout_at};
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::p2::bindings::CommandPre;

use crate::host::Host;
use crate::limits::Limits;
use crate::stopped::{DeadlinePassed, Stopped};

/// How much longer than its deadline a command is waited for: it traps at the next epoch, and then there is a backtrace; only one
/// that waits in the host does not.
const GRACE: Duration = Duration::from_millis(100);

/// A command that has passed every check. Dropping what [`run`](Self::run) returns ends it.
pub struct Ready {
    pub(crate) engine: Engine,
    pub(crate) entry: Entry,
    pub(crate) host: Host,
    pub(crate) limits: Limits,
}

/// Where a command begins.
pub(crate) enum Entry {
    Component(CommandPre<Host>),
    Module(wasmtime::InstancePre<Host>),
}

impl Ready {
    /// Enters the command, and returns its exit code: 0 or 1 if it says only whether it succeeded.
    ///
    /// It runs in a task of its own, so that a write of its that blocks keeps nobody from waiting for something else beside.
    ///
    /// # Errors
    ///
    /// Why it ended otherwise than by itself.
    pub async fn run(self) -> Result<u8, Stopped> {
        let limits = self.limits;
        let deadline = limits.deadline.and_then(|after| Instant::now().checked_add(after));
        let mut task = JoinSet::new();
        task.spawn(self.run_until(deadline));
        let ended = async {
            match task.join_next().await {
                Some(Ok(ended)) => ended,
                Some(Err(error)) => Err(Stopped::of_host(error.into())),
                None => Err(Stopped::of_host(wasmtime::Error::msg("the command's task is gone"))),
            }
        };
        match deadline.and_then(|deadline| deadline.checked_add(GRACE)) {
            None => ended.await,
            Some(end) => timeout_at(end, ended)
                .await
                .unwrap_or_else(|_| Err(Stopped::of(DeadlinePassed.into(), &limits, None))),
        }
    }

    async fn run_until(self, deadline: Option<Instant>) -> Result<u8, Stopped> {
        let limits = self.limits;
        let mut store = Store::new(self.engine.wasmtime(), self.host);
        let ended = enter(&mut store, &self.entry, &limits, deadline).await;
        let refused = store.data_mut().limiter.take_refused();
        ended.or_else(|error| {
            let exit = error.downcast_ref::<wasmtime_wasi::I32Exit>();
            let code = exit.and_then(|exit| u8::try_from(exit.0).ok());
            code.ok_or_else(|| Stopped::of(error, &limits, refused))
        })
    }
}

async fn enter(
    store: &mut Store<Host>,
    entry: &Entry,
    limits: &Limits,
    deadline: Option<Instant>,
) -> wasmtime::Result<u8> {
    store.limiter(|host| &mut host.limiter);
    // Without a bound, centuries.
    store.set_fuel(limits.fuel.map_or(u64::MAX, Into::into))?;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| match deadline {
        Some(deadline) if Instant::now() >= deadline => Err(DeadlinePassed.into()),
        _ => Ok(UpdateDeadline::Yield(1)),
    });
    match entry {
        Entry::Component(pre) => {
            let command = pre.instantiate_async(&mut *store).await?;
            let result = command.wasi_cli_run().call_run(store).await?;
            Ok(u8::from(result.is_err()))
        }
        Entry::Module(pre) => {
            let instance = pre.instantiate_async(&mut *store).await?;
            let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
            start.call_async(store, ()).await?;
            Ok(0)
        }
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
