//! A whole host: modules with everything that they need, from one builder.
//!
//! [`HostBuilder`] takes the parts of a host. It inspects the modules, sets up an engine that is large enough for them, compiles
//! them and adds them to a [`Supervisor`]. A program that shows what it does takes the steps one at a time: [`HostBuilder::inspect`],
//! [`Inspection::set_up`], then [`Host::load`] before [`Host::run`], or [`HostHandle::load_each`] beside it.

mod builder;
mod change;
mod compiling;
mod entries;
mod error;
mod handle;
mod inspection;
mod loading;
mod operator;
mod selection;

use std::pin::pin;

use nexum_config::names::ModuleName;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::module::candidate::Candidate;
use crate::module::load_errors::LoadErrors;
use crate::supervisor::{Report, StartError, Supervisor};

pub use builder::{Extension, HostBuilder};
pub use change::{Change, Difference, Prepared};
pub use entries::{AbsentModule, Lasts, ModuleEntry};
pub use error::{BuildError, ChangeError};
pub use handle::HostHandle;
pub use inspection::Inspection;
pub use loading::LoadingModule;
pub use operator::Operator;

/// Loaded modules and the chains that they follow, ready to run.
#[derive(Debug)]
pub struct Host {
    supervisor: Supervisor,
    handle: HostHandle,
    /// The modules that have been loaded, in order.
    names: Vec<ModuleName>,
}

impl Host {
    /// A builder with every default.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    fn new(supervisor: Supervisor, handle: HostHandle) -> Self {
        Self {
            supervisor,
            handle,
            names: Vec::new(),
        }
    }

    /// Returns a handle that watches and changes the modules, before and while the host runs.
    pub fn handle(&self) -> HostHandle {
        self.handle.clone()
    }

    /// The engine that runs the modules.
    pub fn engine(&self) -> &Engine {
        self.handle.engine()
    }

    /// The names of the loaded modules, in the order in which they were added.
    pub fn names(&self) -> &[ModuleName] {
        &self.names
    }

    /// Compiles the candidates and adds those that can run, in their order. Returns the errors of the others. The modules start together,
    /// in [`Self::run`]: [`HostHandle::load_each`] starts each as soon as it is compiled.
    pub async fn load(&mut self, candidates: Vec<Candidate>) -> LoadErrors {
        let (modules, errors) = self.handle.compile(candidates).await;
        for mut module in modules {
            self.handle.note_stopped(&mut module);
            self.names.push(module.meta.name.clone());
            self.supervisor.add(module);
        }
        errors
    }

    /// Runs the modules until `stop` completes, or until no module or no chain is left. Then each module finishes the event in hand,
    /// or the [deadline](crate::supervisor::Shutdown) of the run's end abandons the event. If the future is dropped before, a transaction that has begun may still be written: no other process may
    /// use the store until this one has ended.
    ///
    /// # Errors
    ///
    /// When the host cannot start. No guest code has run then.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<Report, StartError> {
        let token = CancellationToken::new();
        let entries = self.handle.entries.clone();
        let tenure = self.handle.supervisor.tenure();
        let mut refreshing = pin!(entries.refresh_with(tenure));
        let mut run = pin!(self.supervisor.run(token.clone()));
        tokio::select! {
            // A stop that is there from the start keeps the host from starting.
            biased;
            () = stop => token.cancel(),
            report = &mut run => return report,
            () = &mut refreshing => {}
        }
        run.await
    }
}
