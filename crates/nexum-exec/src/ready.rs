//! A command that can start.

use std::fmt;

use nexum_core::engine::Engine;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, timeout_at};
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::p2::bindings::CommandPre;

use crate::host::Host;
use crate::limits::Limits;
use crate::stopped::{DeadlinePassed, Stopped};

/// The wait beyond the deadline. A command that computes traps at the next epoch, with a backtrace.
/// A command that waits in the host does not trap, and this wait ends it.
const GRACE: Duration = Duration::from_millis(100);

/// A command that has passed every check. Dropping the future of [`run`](Self::run) ends the
/// command.
pub struct Ready {
    pub(crate) engine: Engine,
    pub(crate) entry: EntryPoint,
    pub(crate) host: Host,
    pub(crate) limits: Limits,
}

/// The entry point of a command.
pub(crate) enum EntryPoint {
    Component(CommandPre<Host>),
    Module(wasmtime::InstancePre<Host>),
}

impl Ready {
    /// Runs the command, and returns its exit code. The code is 0 or 1 if the command reports only
    /// success or failure.
    ///
    /// The command runs in a separate task, so that a blocked write does not block the caller.
    ///
    /// # Errors
    ///
    /// Why the command did not end by itself.
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
    entry: &EntryPoint,
    limits: &Limits,
    deadline: Option<Instant>,
) -> wasmtime::Result<u8> {
    store.limiter(|host| &mut host.limiter);
    // Without a deadline, the wait is centuries long.
    store.set_fuel(limits.fuel.map_or(u64::MAX, Into::into))?;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| match deadline {
        Some(deadline) if Instant::now() >= deadline => Err(DeadlinePassed.into()),
        _ => Ok(UpdateDeadline::Yield(1)),
    });
    match entry {
        EntryPoint::Component(pre) => {
            let command = pre.instantiate_async(&mut *store).await?;
            let result = command.wasi_cli_run().call_run(store).await?;
            Ok(u8::from(result.is_err()))
        }
        EntryPoint::Module(pre) => {
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
