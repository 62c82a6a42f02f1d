//! The modules of the daemon: `/v1/modules`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use nexum_core::state::Act;
use nexum_core::supervisor::SteerError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use super::acting::Acting;
use super::audit::must_be_local;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf, name_of};
use super::few::few;
use super::openapi::errors;
use super::shared::ApiState;
use crate::daemon::audit::By;
use crate::error_code::ErrorCode;
use crate::protocol::lasting::Effect;
use crate::protocol::limits::{Usage, usages};
use crate::protocol::modules::{Changed, Load, Module, Reloaded};
use crate::report::functions::Function;

/// The routes. Requests that read, requests that compile and commands have separate bounds.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let looks = OpenApiRouter::new()
        .routes(routes!(module_list))
        .routes(routes!(module_show))
        .routes(routes!(module_limits))
        .routes(routes!(module_functions));
    let builds = OpenApiRouter::new()
        .routes(routes!(module_load))
        .routes(routes!(module_reload));
    let commands = OpenApiRouter::new()
        .routes(routes!(module_remove))
        .routes(routes!(module_restart))
        .routes(routes!(module_stop))
        .routes(routes!(module_start));
    few(looks).merge(few(builds)).merge(few(commands))
}

errors!(ModuleErrors: ModuleNotFound, ModuleLoading);
errors! {
    LoadErrors:
        ModuleExists, ModuleRefused, ChainUnknown, StoreUnavailable,
        DaemonStopping, LocalOnly,
}
errors! {
    ReloadErrors:
        ModuleNotFound, ModuleLoading, ModuleRefused, ModuleRenamed, ModuleDead, ModuleNotRunning,
        ModuleElsewhere, ModuleRemoved, InitFailed, ChainUnknown, StoreUnavailable, DaemonStopping,
}
errors! {
    CommandErrors:
        ModuleNotFound, ModuleLoading, ModuleDisabled, ModuleUnwanted, ModuleHasNoEvents,
        ModuleDead, ModuleElsewhere, ModuleNotRunning, ModuleRemoved, StoreUnavailable, DaemonStopping,
}

/// List the modules
#[utoipa::path(get, path = "/v1/modules", tag = "modules", responses((status = 200, body = Vec<Module>)))]
async fn module_list(State(api): State<ApiState>) -> Json<Vec<Module>> {
    api.host.look();
    // First, so that a module that starts meanwhile is in one of the lists.
    let loading = api.host.loading();
    let holder = api.supervisor.loads_holder();
    let modules = api.supervisor.all();
    let mut all: Vec<_> = modules.iter().filter_map(Module::of).collect();
    let has = |all: &[Module], name: &str| all.iter().any(|module| module.name == name);
    for loading in loading {
        // During a reload, the list shows the running module.
        if !has(&all, loading.meta.name.as_str()) {
            all.push(Module::of_loading(&loading, holder.as_deref()));
        }
    }
    for absent in api.host.absent() {
        // Another entry can have the name.
        let module = Module::of_absent(absent);
        if !has(&all, &module.name) {
            all.push(module);
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    let refused = api.refused.missing(&api.host).into_iter();
    all.extend(refused.map(Module::of_refused));
    let (rows, configured) = (api.host.operator_rows(), api.host.configured());
    let rows = rows
        .iter()
        .map(|(name, row)| (name.as_str(), row))
        .collect::<BTreeMap<_, _>>();
    let with_wanted = |module: Module| {
        let row = rows.get(&*module.name).copied();
        let node = api.node.owner(&module.name);
        module.with(row, &configured).on(node)
    };
    Json(all.into_iter().map(with_wanted).collect())
}

/// Show a module
#[utoipa::path(
    get, path = "/v1/modules/{name}", tag = "modules",
    params(("name" = String, Path, description = "The module")),
    responses((status = 200, body = Module), ModuleErrors)
)]
async fn module_show(State(api): State<ApiState>, PathOf(name): PathOf<String>) -> Answer<Module> {
    Ok(Json(api.view(&name_of(&name)?)?))
}

/// Add a module
///
/// The paths are those of the daemon's machine.
#[utoipa::path(
    post, path = "/v1/modules", tag = "modules",
    request_body = Load,
    responses((status = 200, body = Changed), LoadErrors)
)]
async fn module_load(
    State(api): State<ApiState>,
    Acting(act): Acting,
    by: By,
    JsonOf(wanted): JsonOf<Load>,
) -> Answer<Changed> {
    by.names_file(&wanted.path);
    must_be_local(&by)?;
    let config = wanted.config();
    let config = config.map_err(|error| ApiError::of(ErrorCode::InvalidRequest, &error))?;
    let (name, lasts) = api.host.operator(act).load(config).await?;
    by.concerns(name.as_str());
    api.changed(&name, None, lasts)
}

/// Remove a module
///
/// Its state stays in the store.
#[utoipa::path(
    delete, path = "/v1/modules/{name}", tag = "modules",
    params(("name" = String, Path, description = "The module")),
    responses((status = 200, body = Effect), CommandErrors)
)]
async fn module_remove(
    State(api): State<ApiState>,
    Acting(act): Acting,
    PathOf(name): PathOf<String>,
) -> Answer<Effect> {
    let name = name_of(&name)?;
    Ok(Json(api.host.operator(act).remove(&name).await?.into()))
}

/// Show the limits of a module
#[utoipa::path(
    get, path = "/v1/modules/{name}/limits", tag = "modules",
    params(("name" = String, Path, description = "The module")),
    responses((status = 200, body = Vec<Usage>), ModuleErrors)
)]
async fn module_limits(State(api): State<ApiState>, PathOf(name): PathOf<String>) -> Answer<Vec<Usage>> {
    let name = name_of(&name)?;
    let module = api.running(&name)?;
    let (_, meta) = module.origin().ok_or_else(|| SteerError::NoModule(name))?;
    Ok(Json(usages(&meta, &module.consumption())))
}

/// List the functions of a module
#[utoipa::path(
    get, path = "/v1/modules/{name}/functions", tag = "modules",
    params(("name" = String, Path, description = "The module")),
    responses((status = 200, body = Vec<Function>), ModuleErrors)
)]
async fn module_functions(State(api): State<ApiState>, PathOf(name): PathOf<String>) -> Answer<Vec<Function>> {
    let pool = api.running(&name_of(&name)?)?.queries;
    let functions = pool.iter().flat_map(|pool| pool.module().functions.iter());
    Ok(Json(functions.map(Function::from).collect()))
}

/// A command that changes the stage of a module.
enum Command {
    Restart,
    Stop,
    Start,
}

async fn change(api: &ApiState, act: Act, name: &str, command: Command) -> Answer<Changed> {
    let name = name_of(name)?;
    api.check_loaded(&name)?;
    let before = api.supervisor.module(&name).ok().map(|status| status.stage());
    let operator = api.host.operator(act);
    let lasts = match command {
        Command::Restart => operator.restart(&name).await,
        Command::Stop => operator.stop(&name).await,
        Command::Start => operator.start(&name).await,
    };
    api.changed(&name, before, lasts?)
}

/// Replace a module with the current content of its files
#[utoipa::path(
    post, path = "/v1/modules/{name}/reload", tag = "modules",
    params(("name" = String, Path, description = "The module")),
    responses((status = 200, body = Reloaded), ReloadErrors)
)]
async fn module_reload(State(api): State<ApiState>, PathOf(name): PathOf<String>) -> Answer<Reloaded> {
    let name = name_of(&name)?;
    // A module that does not exist is not an error in the module's files.
    api.view(&name)?;
    let change = api.host.reload(&name).await?.change();
    let module = api.view(&name)?;
    Ok(Json(Reloaded { module, change }))
}

/// Restart a module with a new instance
#[utoipa::path(
    post, path = "/v1/modules/{name}/restart", tag = "modules",
    params(("name" = String, Path, description = "The module")),
    responses((status = 200, body = Changed), CommandErrors)
)]
async fn module_restart(
    State(api): State<ApiState>,
    Acting(act): Acting,
    PathOf(name): PathOf<String>,
) -> Answer<Changed> {
    change(&api, act, &name, Command::Restart).await
}

/// Finish the current event of a module, then pause the module
#[utoipa::path(
    post, path = "/v1/modules/{name}/stop", tag = "modules",
    params(("name" = String, Path, description = "The module")),
    responses((status = 200, body = Changed), CommandErrors)
)]
async fn module_stop(
    State(api): State<ApiState>,
    Acting(act): Acting,
    PathOf(name): PathOf<String>,
) -> Answer<Changed> {
    change(&api, act, &name, Command::Stop).await
}

/// Resume a stopped module at its cursor
#[utoipa::path(
    post, path = "/v1/modules/{name}/start", tag = "modules",
    params(("name" = String, Path, description = "The module")),
    responses((status = 200, body = Changed), CommandErrors)
)]
async fn module_start(
    State(api): State<ApiState>,
    Acting(act): Acting,
    PathOf(name): PathOf<String>,
) -> Answer<Changed> {
    change(&api, act, &name, Command::Start).await
}
