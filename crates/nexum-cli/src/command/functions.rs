//! The functions of a component file.

use nexum_config::command::CommandFile;
use nexum_config::component::ComponentFile;
use nexum_config::limits::Limits;
use nexum_core::clock::Seams;
use nexum_core::engine::{Demand, Engine, EngineConfig};
use nexum_core::module::functions_of as read;

use crate::compiler::compiler;
use crate::process;
use crate::report::functions::Function;
use crate::report::{Refusal, Refusals};

/// Compiles a component with functions, and reads their list in a sandbox without capabilities.
///
/// # Errors
///
/// If the component does not compile, or its list is not valid.
pub(super) fn functions_of(file: &CommandFile) -> Result<Option<Vec<Function>>, Refusals> {
    let mut demand = Demand::default();
    demand.add(&file.summary, &Limits::default(), 1);
    // The command leaves no files.
    let cache = tempfile::tempdir().map_err(|error| Refusal::of(&error))?;
    let config = EngineConfig {
        cache_dir: Some(cache.path().into()),
        demand,
        compiler: compiler(),
        ..EngineConfig::default()
    };
    let file = ComponentFile {
        bytes: file.bytes.clone(),
        digest: file.digest,
        summary: file.summary.clone(),
    };
    process::block_on(async move {
        let engine = Engine::new(&config).map_err(|error| Refusal::with_hint_of(&error))?;
        let functions = read(&engine, file, &Seams::system()).await;
        let functions = functions.map_err(|error| Refusal::with_hint_of(&error))?;
        Ok(Some(functions.iter().map(Function::from).collect()))
    })?
}
