//! Everything that needs the operator, each with the command to copy.

use nexum_config::harmless::harmless;

use super::model::Model;
use crate::client::problem::about_now;
use crate::client::status::overview::{dead_letters, effects_in_doubt};
use crate::protocol::health::Problem;
use crate::protocol::modules::Module;
use crate::protocol::stage::Stage;

/// Something that needs the operator.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// The subject, its reason, since when, and the time until nexum's next try, in one harmless line.
    pub(super) text: String,
    /// The command with the next step. The line of dead letters and of effects in doubt has its own.
    pub(super) command: Option<String>,
}

/// Everything that needs the operator.
pub(super) fn needs(model: &Model, now_ms: u64) -> Vec<Need> {
    let health = &model.answers.health;
    let modules = &model.answers.modules;
    let of_problem = |problem: &Problem| Need {
        text: about_now(problem, now_ms),
        command: Some(remedy(problem, modules)),
    };
    let own = modules.iter().flat_map(|module| {
        let parts = [dead_letters(module), effects_in_doubt(module)];
        parts.into_iter().flatten().map(|part| Need {
            text: format!("module {} has {part}", harmless(&module.name)),
            command: None,
        })
    });
    // The notes about modules are those lines.
    let notes = health.notes.iter().filter(|note| note.module.is_none());
    let problems = health.problems.iter().map(of_problem);
    problems.chain(own).chain(notes.map(of_problem)).collect()
}

/// The command with the next step.
fn remedy(problem: &Problem, modules: &[Module]) -> String {
    if let Some(account) = &problem.account {
        return format!("nexum account show {}", harmless(account));
    }
    let Some(name) = &problem.module else {
        return "nexum chains".to_owned();
    };
    let known = modules.iter().find(|module| module.name == *name);
    let name = harmless(name);
    match known.map(|module| module.stage) {
        // The name may be the path of a file.
        None | Some(Stage::Refused) => "nexum check".to_owned(),
        Some(Stage::Dead) => format!("nexum module restart {name}"),
        Some(Stage::WaitingForChain) => "nexum chains".to_owned(),
        Some(Stage::Suspended) => format!("nexum logs {name}"),
        Some(_) => format!("nexum status {name}"),
    }
}
