//! A command that can start.

use std::fmt;

use nexum_config::command::START;
use nexum_core::engine::Engine;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, timeout_at};
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::p2::bindings::CommandPre;

use crate::host::Host;
use crate::limits::Limits;
use crate::stopped::{DeadlinePassed, Reason, Stopped};

/// The function of a preview 1 command that nexum calls before the command is ready.
pub(crate) const READY: &str = "weft_ready";

/// The wait beyond the deadline. A command that computes traps at the next epoch, with a backtrace.
/// A command that waits in the host does not trap, and this wait ends it.
const GRACE: Duration = Duration::from_millis(100);

/// A command that has passed every check. Dropping the future of [`run`](Self::run) ends the
/// command.
pub struct Ready {
    /// Advances the epochs of the store.
    _engine: Engine,
    store: Store<Host>,
    entry: EntryPoint,
    limits: Limits,
    /// The end of the run time. None before the command's first code, or without a deadline.
    deadline: Option<Instant>,
}

/// The entry point of a command.
pub(crate) enum EntryPoint {
    Component(CommandPre<Host>),
    Module(wasmtime::InstancePre<Host>),
    /// A module whose [`READY`] has returned.
    Instance(wasmtime::Instance),
}

impl Ready {
    pub(crate) fn new(engine: Engine, host: Host, entry: EntryPoint, limits: Limits) -> Self {
        let mut store = Store::new(engine.wasmtime(), host);
        store.limiter(|host| &mut host.limiter);
        Self {
            _engine: engine,
            store,
            entry,
            limits,
            deadline: None,
        }
    }

    /// Calls the module's [`READY`], if the module exports it. The call and [`run`](Self::run) share
    /// the limits.
    ///
    /// # Errors
    ///
    /// Why the function did not return.
    pub(crate) async fn call_ready(mut self) -> Result<Self, Stopped> {
        let EntryPoint::Module(pre) = &self.entry else {
            return Ok(self);
        };
        if pre.module().get_export(READY).is_none() {
            return Ok(self);
        }
        let (limits, deadline) = (self.limits, self.begin());
        let called = async move {
            match self.enter_ready().await {
                Ok(instance) => {
                    self.entry = EntryPoint::Instance(instance);
                    Ok(self)
                }
                Err(error) => Err(self.stopped(error)),
            }
        };
        supervise(called, &limits, deadline).await
    }

    /// Runs the command, and returns its exit code. The code is 0 or 1 if the command reports only
    /// success or failure.
    ///
    /// The command runs in a separate task, so that a blocked write does not block the caller.
    ///
    /// # Errors
    ///
    /// Why the command did not end by itself.
    pub async fn run(mut self) -> Result<u8, Stopped> {
        let (limits, deadline) = (self.limits, self.begin());
        let ended = async move {
            let ended = self.enter_start().await;
            ended.or_else(|error| match self.stopped(error) {
                Stopped {
                    reason: Reason::Exit { code },
                    backtrace,
                } => u8::try_from(code).map_err(|_| Stopped {
                    reason: Reason::Exit { code },
                    backtrace,
                }),
                stopped => Err(stopped),
            })
        };
        supervise(ended, &limits, deadline).await
    }

    /// Starts the command's run time, unless it runs. Returns its end.
    fn begin(&mut self) -> Option<Instant> {
        let after = self.limits.deadline;
        self.deadline = self
            .deadline
            .or_else(|| after.and_then(|after| Instant::now().checked_add(after)));
        self.deadline
    }

    async fn enter_ready(&mut self) -> wasmtime::Result<wasmtime::Instance> {
        let EntryPoint::Module(pre) = &self.entry else {
            wasmtime::bail!("only a core module has a {READY}");
        };
        bound(&mut self.store, &self.limits, self.deadline)?;
        let instance = pre.instantiate_async(&mut self.store).await?;
        let ready = instance.get_typed_func::<(), ()>(&mut self.store, READY)?;
        ready.call_async(&mut self.store, ()).await?;
        Ok(instance)
    }

    async fn enter_start(&mut self) -> wasmtime::Result<u8> {
        let instance = match &self.entry {
            EntryPoint::Component(pre) => {
                bound(&mut self.store, &self.limits, self.deadline)?;
                let command = pre.instantiate_async(&mut self.store).await?;
                let result = command.wasi_cli_run().call_run(&mut self.store).await?;
                return Ok(u8::from(result.is_err()));
            }
            EntryPoint::Module(pre) => {
                bound(&mut self.store, &self.limits, self.deadline)?;
                pre.instantiate_async(&mut self.store).await?
            }
            EntryPoint::Instance(instance) => *instance,
        };
        let start = instance.get_typed_func::<(), ()>(&mut self.store, START)?;
        start.call_async(&mut self.store, ()).await?;
        Ok(0)
    }

    fn stopped(&mut self, error: wasmtime::Error) -> Stopped {
        let refused = self.store.data_mut().limiter.take_refused();
        Stopped::of(error, &self.limits, refused)
    }
}

/// Bounds the computation and the run time of a store, before its first code.
fn bound(store: &mut Store<Host>, limits: &Limits, deadline: Option<Instant>) -> wasmtime::Result<()> {
    // Without a limit, the fuel lasts for centuries.
    store.set_fuel(limits.fuel.map_or(u64::MAX, Into::into))?;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| match deadline {
        Some(deadline) if Instant::now() >= deadline => Err(DeadlinePassed.into()),
        _ => Ok(UpdateDeadline::Yield(1)),
    });
    Ok(())
}

/// Runs guest code in a separate task, and ends it at the deadline.
async fn supervise<T: Send + 'static>(
    code: impl Future<Output = Result<T, Stopped>> + Send + 'static,
    limits: &Limits,
    deadline: Option<Instant>,
) -> Result<T, Stopped> {
    let mut task = JoinSet::new();
    task.spawn(code);
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
            .unwrap_or_else(|_| Err(Stopped::of(DeadlinePassed.into(), limits, None))),
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
