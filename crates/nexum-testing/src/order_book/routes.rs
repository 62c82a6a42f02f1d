//! The routes of the API.

mod app_data;
mod cancel;
mod orders;
mod quote;
mod trades;

use alloy_primitives::Address;
use serde_json::json;

pub(super) use self::orders::settle;
use super::OrderUid;
use super::reply::Reply;
use super::state::{ReceivedRequest, Shared};

/// The default number of entries per page.
const PAGE_DEFAULT: usize = 10;

/// The most entries per page.
const PAGE_MAX: usize = 1_000;

/// Answers a request as a correct order book does.
pub(super) async fn answer(shared: &Shared, request: &ReceivedRequest) -> Reply {
    let body = request.body.as_str();
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let base_path = shared.with(|state| state.base_path.clone());
    let Some(path) = path
        .strip_prefix(&base_path)
        .and_then(|path| path.strip_prefix("/api/"))
    else {
        return nothing_here();
    };
    let segments: Vec<_> = path.split('/').collect();
    let reply = match (request.method.as_str(), segments.as_slice()) {
        ("POST", ["v1", "orders"]) => orders::create(shared, body).await,
        ("POST", ["v1", "orders", "by_uids"]) => orders::by_uids(shared, body),
        ("DELETE", ["v1", "orders"]) => cancel::several(shared, body),
        ("GET", ["v1", "orders", uid]) => orders::get(shared, uid),
        ("DELETE", ["v1", "orders", uid]) => cancel::one(shared, uid, body),
        ("GET", ["v1", "account", owner, "orders"]) => orders::of_owner(shared, owner, query),
        ("GET", ["v1", "trades"]) => trades::all(shared, query),
        ("GET", ["v2", "trades"]) => trades::page(shared, query),
        ("POST", ["v1", "quote"]) => quote::quote(shared, body),
        ("GET", ["v1", "token", token, "native_price"]) => native_price(shared, token),
        ("PUT", ["v1", "app_data"]) => app_data::put(shared, None, body),
        ("PUT", ["v1", "app_data", hash]) => app_data::put(shared, Some(hash), body),
        ("GET", ["v1", "app_data", hash]) => app_data::get(shared, hash),
        ("GET", ["v1", "version"]) => Ok(Reply::text(200, "nexum-testing")),
        _ => Ok(nothing_here()),
    };
    reply.unwrap_or_else(|refusal| refusal)
}

fn nothing_here() -> Reply {
    Reply::text(404, "")
}

fn native_price(shared: &Shared, token: &str) -> Result<Reply, Reply> {
    let price = shared.with(|state| Ok(state.price(address(token)?)))?;
    let price = price.ok_or_else(no_liquidity)?;
    Ok(Reply::json(200, &json!({ "price": price })))
}

fn no_liquidity() -> Reply {
    Reply::error(404, "NoLiquidity", "one of the tokens has no liquidity")
}

fn address(text: &str) -> Result<Address, Reply> {
    parse(text, "an address")
}

fn uid(text: &str) -> Result<OrderUid, Reply> {
    parse(text, "the UID of an order")
}

/// Parses hexadecimal digits of a fixed length with the prefix 0x.
fn parse<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Reply> {
    let parsed = text.starts_with("0x").then(|| text.parse().ok()).flatten();
    parsed.ok_or_else(|| Reply::text(400, &format!("{text:?} is not {what}")))
}

/// Parses a body. Refuses an invalid one in plain text.
fn parse_body<T: serde::de::DeserializeOwned>(body: &str) -> Result<T, Reply> {
    serde_json::from_str(body).map_err(|error| Reply::text(422, &format!("cannot read the body: {error}")))
}

/// The value of a query parameter.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.into_owned())
}

/// The page of a list that the query requests.
fn page_of<T>(entries: impl Iterator<Item = T>, query: &str) -> Result<Vec<T>, Reply> {
    let number = |name: &str, default: usize| match parameter(query, name) {
        Some(value) => parse_number(&value, name),
        None => Ok(default),
    };
    let limit = number("limit", PAGE_DEFAULT)?;
    if !(1..=PAGE_MAX).contains(&limit) {
        let description = format!("limit must be from 1 to {PAGE_MAX}");
        return Err(Reply::error(400, "InvalidLimit", &description));
    }
    Ok(entries.skip(number("offset", 0)?).take(limit).collect())
}

fn parse_number(value: &str, name: &str) -> Result<usize, Reply> {
    let refusal = |_| Reply::text(400, &format!("{name} must be a number"));
    value.parse().map_err(refusal)
}
