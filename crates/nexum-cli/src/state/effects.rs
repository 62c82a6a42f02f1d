//! Reads the records of effects from the store, for the daemon and for a command without one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use nexum_config::names::ModuleName;
use nexum_core::state::{self, Effect, admin};
use nexum_core::store::{StateStore, StoreError};

use crate::error_code::ErrorCode;
use crate::protocol::effects::{EffectFilter, EffectRecord};
use crate::report::Refusal;

/// The newest effects of a module, or of all modules, oldest first: at most this many, without requests and answers.
///
/// # Errors
///
/// If the store cannot be read.
pub(crate) fn effects(
    store: &dyn StateStore,
    module: Option<&ModuleName>,
    filter: Option<EffectFilter>,
    count_max: usize,
) -> Result<Vec<EffectRecord>, StoreError> {
    let view = store.view()?;
    let modules = match module {
        Some(module) => vec![module.clone()],
        None => state::modules(&*view)?.into_iter().map(|(name, _)| name).collect(),
    };
    let (mut newest, mut seen) = (BTreeMap::new(), 0_u64);
    for module in &modules {
        admin::effects(&*view, module, &mut |effect| {
            if filter.is_none_or(|filter| filter.has(&effect)) {
                seen += 1;
                newest.insert((effect.at_ms, seen), EffectRecord::summary(module, &effect));
                if newest.len() > count_max {
                    newest.pop_first();
                }
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(newest.into_values().collect())
}

/// The effect of a module's event with this number.
///
/// # Errors
///
/// If the store cannot be read.
pub(crate) fn effect(
    store: &dyn StateStore,
    module: &ModuleName,
    event: &str,
    number: u32,
) -> Result<Option<Effect>, StoreError> {
    admin::effect(&*store.view()?, module, event, number)
}

/// Whether the event is a dead letter of the module.
///
/// # Errors
///
/// If the store cannot be read.
pub(crate) fn is_dead_letter(store: &dyn StateStore, module: &ModuleName, event: &str) -> Result<bool, StoreError> {
    Ok(super::letters::letter(store, module, event)?.is_some())
}

/// The refusal for an effect that the module does not have.
pub(crate) fn no_effect(module: &ModuleName, event: &str, number: u32) -> Refusal {
    let refusal = Refusal::new(format!("{module} has no effect {number} of {event}"));
    let refusal = refusal.with_code(ErrorCode::EffectNotFound);
    refusal.with_hint(format!("list its effects with `nexum effect list {module}`"))
}
