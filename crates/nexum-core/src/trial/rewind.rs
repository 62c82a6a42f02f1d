//! The state of a module before a past block, from its undo records.

use nexum_config::names::ModuleName;
use nexum_config::topic::{ChainId, Topic};

use crate::event::Position;
use crate::state::admin;
use crate::state::{ModuleState, RevertError};
use crate::store::{StateStore, StoreError};

/// Why a module's state before a block is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewindError {
    /// The store has no undo records of some event since then.
    #[error("the undo records of {module} do not reach back to block {block}")]
    TooDeep {
        /// The module.
        module: ModuleName,
        /// The first block to undo.
        block: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Undoes a module's events of the blocks from `block` on, and all later events, as a reorganisation does. `store` is
/// a copy of the caller. A module that has not reached the block is unchanged.
///
/// # Errors
///
/// Fails if the undo records do not reach back so far, or if the store is not usable.
pub fn rewind(store: &dyn StateStore, module: &ModuleName, chain_id: ChainId, block: u64) -> Result<(), RewindError> {
    let Some(id) = admin::find(&*store.view()?, module)? else {
        return Ok(());
    };
    let too_deep = || RewindError::TooDeep {
        module: module.clone(),
        block,
    };
    let mut state = ModuleState::load(&*store.view()?, id)?;
    let topics: Vec<Topic> = state.cursors().iter().map(|cursor| cursor.topic).collect();
    for topic in topics.into_iter().filter(|topic| topic.chain_id() == Some(chain_id)) {
        let last = state.cursors().get(topic).and_then(|cursor| cursor.last);
        if last.is_none_or(|last| last.position.number < block) {
            continue;
        }
        let to = Position {
            number: block.checked_sub(1).ok_or_else(too_deep)?,
            hash: Default::default(),
        };
        let view = store.view()?;
        let reverted = state.revert(&*view, topic, to);
        drop(view);
        match reverted {
            Ok(batch) => store.write(&batch)?,
            Err(RevertError::TooDeep { .. }) => return Err(too_deep()),
            Err(RevertError::Store(error)) => return Err(error.into()),
        }
    }
    Ok(())
}
