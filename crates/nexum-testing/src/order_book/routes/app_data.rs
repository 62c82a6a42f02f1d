//! App-data documents, which orders name by hash.

use alloy_primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};

use super::super::checks;
use super::super::reply::Reply;
use super::super::state::Shared;
use super::{parse, parse_body};

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct AppData {
    full_app_data: String,
}

/// Stores a document, and checks it against the hash in the path, if any.
pub(super) fn put(shared: &Shared, hash: Option<&str>, body: &str) -> Result<Reply, Reply> {
    let named: Option<B256> = hash.map(|hash| parse(hash, "a hash of app data")).transpose()?;
    let AppData { full_app_data } = parse_body(body)?;
    if !checks::is_app_data(&full_app_data) {
        let description = "fullAppData is not a JSON object, or too long";
        return Err(Reply::error(400, "AppDataInvalid", description));
    }
    let hash = keccak256(&full_app_data);
    if named.is_some_and(|named| named != hash) {
        let description = format!("the hash of this document is {hash}");
        return Err(Reply::error(400, "AppDataHashMismatch", &description));
    }
    let known = shared.change(|state| state.app_data.insert(hash, full_app_data).is_some());
    Ok(Reply::json(if known { 200 } else { 201 }, &hash))
}

pub(super) fn get(shared: &Shared, hash: &str) -> Result<Reply, Reply> {
    let hash: B256 = parse(hash, "a hash of app data")?;
    let document = shared.with(|state| state.app_data.get(&hash).cloned());
    let full_app_data = document.ok_or_else(|| Reply::text(404, "no document has this hash"))?;
    Ok(Reply::json(200, &AppData { full_app_data }))
}
