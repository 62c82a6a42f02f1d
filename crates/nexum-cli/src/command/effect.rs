//! `nexum effect`: asks the running daemon. Without one, it reads and changes the state itself.

use nexum_config::names::ModuleName;
use nexum_core::clock::{Clock as _, SystemClock};
use nexum_core::state::admin;
use nexum_core::store::StateStore;

use super::state::{has_state, open_here};
use crate::args::{Effect, Running};
use crate::client::{self, Client};
use crate::configure::{Configuration, configure_state_dir};
use crate::exit_code::STOPPED;
use crate::protocol::effects::{EFFECTS_PER_ANSWER_MAX, EffectRecord, Resolved};
use crate::report::{Refusal, Refusals};
use crate::state::effects::{effect as effect_of, effects, is_dead_letter, no_effect};
use crate::state::letters::has_module;
use crate::state::no_module;

/// Carries out a command.
///
/// # Errors
///
/// The reason of a failure.
pub(super) fn effect(running: &Running, command: &Effect) -> Result<u8, Refusals> {
    let Configuration { file, config, .. } = configure_state_dir(running.config.as_deref())?;
    let client = Client::of(&config.state_dir).configured_by(&file);
    // Without a state, the refusal says that no daemon runs.
    if client.is_answered() || !has_state(&config)? {
        return client::effects::effect(&client, command);
    }
    let purpose = match command {
        Effect::List { .. } => "nexum effect list",
        Effect::Show { .. } => "nexum effect show",
        Effect::Resolve { .. } => "nexum effect resolve",
    };
    here(&*open_here(&config, purpose)?, command)
}

fn here(store: &dyn StateStore, command: &Effect) -> Result<u8, Refusals> {
    let failed = |error| Refusal::of(&error);
    let module = match command {
        Effect::List { module, .. } => module.as_ref(),
        Effect::Show { module, .. } | Effect::Resolve { module, .. } => Some(module),
    };
    if let Some(module) = module
        && !has_module(store, module).map_err(failed)?
    {
        return Err(no_module(module).into());
    }
    let find = |module: &ModuleName, event: &str, number| {
        let found = effect_of(store, module, event, number).map_err(failed)?;
        found.ok_or_else(|| no_effect(module, event, number))
    };
    match command {
        Effect::List { module, only, format } => {
            let found = effects(
                store,
                module.as_ref(),
                client::effects::filter(only),
                EFFECTS_PER_ANSWER_MAX,
            )
            .map_err(failed)?;
            client::effects::list(&found, *format)?;
        }
        Effect::Show {
            module,
            event,
            number,
            format,
        } => {
            let found = find(module, event, *number)?;
            client::effects::show(&EffectRecord::whole(module, &found), *format)?;
        }
        Effect::Resolve {
            module,
            event,
            number,
            outcome,
            answer,
            ..
        } => {
            let resolve = client::effects::resolve(*outcome, answer.as_deref())?;
            let resolution = resolve.into_resolution().map_err(Refusal::new)?;
            let found = find(module, event, *number)?;
            let now_ms = SystemClock::new().now_ms();
            admin::resolve_effect(store, module, &found, resolution, now_ms).map_err(failed)?;
            let dead_letter = is_dead_letter(store, module, event).map_err(failed)?;
            client::effects::say_resolved(command, &Resolved { dead_letter }, false);
        }
    }
    Ok(STOPPED)
}
