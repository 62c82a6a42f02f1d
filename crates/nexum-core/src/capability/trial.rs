//! The part of a trial in the capabilities: a run of a module on past blocks, which changes nothing outside nexum.

use nexum_config::topic::ChainId;

use super::View;
use super::activity::HostCallKind;
use crate::event::Position;

impl<S> View<'_, S> {
    /// The block to which each read of this chain is pinned, whatever the module's settings are. `None` outside a
    /// trial, and for a chain that the trial has no block of.
    pub fn trial_block(&self, chain_id: ChainId) -> Option<Position> {
        self.scope.journal().trial()?.block(chain_id)
    }

    /// Whether the handler call is a trial of a past block.
    pub fn is_trial(&self) -> bool {
        self.scope.journal().trial().is_some()
    }

    /// Notes a read whose answer is that of today, also in a trial of a past block. `what` is a method or a server,
    /// without secrets. Nothing happens outside a trial.
    ///
    /// # Errors
    ///
    /// The reason for the guest if the trial refuses the read, as `denied`.
    pub fn read_today(&self, kind: HostCallKind, what: &str) -> Result<(), &'static str> {
        match self.scope.journal().trial() {
            Some(trial) => trial.read_today(kind.name(), what),
            None => Ok(()),
        }
    }

    /// Notes a request that is no effect, and that a trial does not carry out, such as a signature. Returns
    /// `stand_in`, or the reason for the guest, which is `denied`. `None` outside a trial.
    pub fn withheld(
        &self,
        kind: &'static str,
        target: &str,
        request: &[u8],
        stand_in: &[u8],
    ) -> Option<Result<Vec<u8>, &'static str>> {
        let trial = self.scope.journal().trial()?;
        let withheld = trial.withhold((kind, target), request, Some(stand_in));
        Some(withheld.map_err(|error| error.reason()))
    }
}
