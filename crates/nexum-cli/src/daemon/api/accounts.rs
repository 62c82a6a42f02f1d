//! The accounts of the configuration and their transactions: `/v1/accounts` and `/v1/transactions`.

use axum::Json;
use axum::extract::State;
use nexum_core::clock::{Clock as _, SystemClock};
use nexum_core::store::{self, StateStore};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf, QueryOf};
use super::few::few;
use super::openapi::errors;
use super::shared::ApiState;
use crate::error_code::ErrorCode;
use crate::protocol::accounts::{Account, Sync, Synced, TRANSACTIONS_PER_ANSWER_MAX, Transaction};
use crate::state::accounts::no_account;

/// The routes. Requests that read and commands have separate bounds.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let looks = OpenApiRouter::new()
        .routes(routes!(account_list))
        .routes(routes!(account_show))
        .routes(routes!(transaction_list));
    let commands = OpenApiRouter::new().routes(routes!(account_sync));
    few(looks).merge(few(commands))
}

errors!(ListErrors: StoreUnavailable);
errors!(AccountErrors: AccountNotFound, StoreUnavailable);
errors! {
    SyncErrors:
        AccountNotFound, AccountUnused, AccountElsewhere, ChainUnavailable, StoreUnavailable, DaemonStopping,
}

/// List the accounts of the configuration
#[utoipa::path(
    get, path = "/v1/accounts", tag = "accounts",
    responses((status = 200, body = Vec<Account>), ListErrors)
)]
async fn account_list(State(api): State<ApiState>) -> Answer<Vec<Account>> {
    Ok(Json(accounts(&api, None).await?))
}

/// Show an account: its chains, and the use of its limits
#[utoipa::path(
    get, path = "/v1/accounts/{account}", tag = "accounts",
    params(("account" = String, Path, description = "The account")),
    responses((status = 200, body = Account), AccountErrors)
)]
async fn account_show(State(api): State<ApiState>, PathOf(account): PathOf<String>) -> Answer<Account> {
    let found = accounts(&api, Some(account.clone())).await?.pop();
    found.map(Json).ok_or_else(|| not_found(&account))
}

async fn accounts(api: &ApiState, name: Option<String>) -> Result<Vec<Account>, ApiError> {
    let (accounts, now_ms) = (api.accounts.clone(), SystemClock::new().now_ms());
    let read = move |store: &dyn StateStore| accounts.report(&*store.view()?, name.as_deref(), now_ms);
    Ok(store::blocking(&api.store, read).await?)
}

/// The part of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Part {
    /// Only the transactions of this account. Default: of all accounts.
    account: Option<String>,
    /// Whether the list has settled and lost transactions too.
    #[serde(default)]
    settled: bool,
    /// The most transactions to list. Default: 1,000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// List transactions of modules
///
/// The list has at most 1,000 transactions, oldest first: the oldest ones that are not settled, or with `settled` the
/// newest ones.
#[utoipa::path(
    get, path = "/v1/transactions", tag = "accounts",
    params(Part),
    responses((status = 200, body = Vec<Transaction>), AccountErrors)
)]
async fn transaction_list(State(api): State<ApiState>, QueryOf(part): QueryOf<Part>) -> Answer<Vec<Transaction>> {
    let Part {
        account,
        settled,
        limit,
    } = part;
    let limit = limit.unwrap_or(TRANSACTIONS_PER_ANSWER_MAX);
    if !(1..=TRANSACTIONS_PER_ANSWER_MAX).contains(&limit) {
        let error = format!("limit: expected a number from 1 to {TRANSACTIONS_PER_ANSWER_MAX}");
        return Err(ApiError::new(ErrorCode::InvalidRequest, error));
    }
    if let Some(account) = account.as_deref().filter(|account| !api.accounts.has(account)) {
        return Err(not_found(account));
    }
    let accounts = api.accounts.clone();
    let read = move |store: &dyn StateStore| accounts.transactions(&*store.view()?, account.as_deref(), settled, limit);
    Ok(Json(store::blocking(&api.store, read).await?))
}

/// Continue with an account that another program has used
///
/// Ends the halts of the account. The next nonce is the greatest of nexum's, the chain's, and the one after nexum's
/// newest transaction.
#[utoipa::path(
    post, path = "/v1/accounts/{account}/sync", tag = "accounts",
    params(("account" = String, Path, description = "The account")),
    request_body = Sync,
    responses((status = 200, body = Synced), SyncErrors)
)]
async fn account_sync(
    State(api): State<ApiState>,
    PathOf(account): PathOf<String>,
    JsonOf(sync): JsonOf<Sync>,
) -> Answer<Synced> {
    if !api.accounts.has(&account) {
        return Err(not_found(&account));
    }
    let synced = api.transactions.sync(&account, sync.chain_id).await;
    Ok(Json(synced.map_err(ApiError::coded)?))
}

fn not_found(account: &str) -> ApiError {
    ApiError::coded(no_account(account))
}
