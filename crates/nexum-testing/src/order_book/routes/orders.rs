//! Placing orders and reading them.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use serde_json::{Value, json};

use super::super::checks::{self, Case};
use super::super::creation::Creation;
use super::super::reply::Reply;
use super::super::state::{Shared, State};
use super::super::stored::{StoredOrder, Trade};
use super::super::{OrderUid, Scheme, eip712};
use super::{address, page_of, parse_body, quote, uid};

/// The most orders per request.
const UIDS_MAX: usize = 128;

/// The response of a contract that accepts a signature. It equals the selector of the call.
const EIP1271_MAGIC_VALUE: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

pub(super) async fn create(shared: &Shared, body: &str) -> Result<Reply, Reply> {
    let creation = Creation::parse(body)?;
    let (rules, now_s, chain_url) = shared.with(|state| (state.rules.clone(), state.now_s(), state.chain_url.clone()));
    let case = Case {
        creation: &creation,
        rules: &rules,
        now_s,
    };
    checks::check(&case)?;
    let owner = creation.owner(shared.chain_id)?;
    checks::check_owner(&case, owner)?;

    let digest = eip712::order_digest(&creation.terms, shared.chain_id);
    if let (Scheme::Eip1271, Some(url)) = (creation.signing_scheme, chain_url)
        && !accepts(&shared.client, &url, owner, digest, &creation.signature).await
    {
        let description = "the owner's contract does not accept the signature";
        return Err(Reply::error(400, "InvalidEip1271Signature", description));
    }
    let uid = eip712::uid(digest, owner, creation.terms.valid_to);
    shared.change(|state| store(state, creation, uid, owner))?;
    Ok(Reply::json(201, &uid))
}

/// Stores an order that passed the checks. Like the real order book, it checks the number of limit
/// orders before it detects a duplicate.
fn store(state: &mut State, creation: Creation, uid: OrderUid, owner: Address) -> Result<(), Reply> {
    let now_s = state.now_s();
    let from_quote = quote::is_quoted(state, &creation.terms)?;
    let open = |order: &&StoredOrder| order.owner == owner && order.is_open_limit_order(now_s);
    if !from_quote && state.orders.all().iter().filter(open).count() >= state.limit_orders_max {
        let description = format!("{owner} has reached the limit of open limit orders");
        return Err(Reply::error(400, "TooManyLimitOrders", &description));
    }
    let document = creation.document().map(str::to_owned);
    let hash = creation.terms.app_data_hash();
    let order = StoredOrder {
        uid,
        owner,
        full_app_data: document.clone().or_else(|| state.app_data.get(&hash).cloned()),
        scheme: creation.signing_scheme,
        signature: creation.signature,
        terms: creation.terms,
        created_ms: state.clock.now_ms(),
        from_quote,
        presigned: false,
        cancelled: false,
        executed: false,
    };
    if !state.orders.insert(order) {
        return Err(Reply::error(400, "DuplicatedOrder", "this order already exists"));
    }
    if let Some(document) = document {
        state.app_data.insert(hash, document);
    }
    Ok(())
}

/// Asks the owner's contract with EIP-1271. A failed request counts as a refusal.
async fn accepts(client: &reqwest::Client, url: &str, owner: Address, digest: B256, signature: &[u8]) -> bool {
    let call = json!({ "to": owner, "data": is_valid_signature(digest, signature) });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"] });
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .body(body.to_string());
    let Ok(response) = request.send().await else {
        return false;
    };
    let answer = response.bytes().await.unwrap_or_default();
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let result: Option<Bytes> = answer["result"].as_str().and_then(|result| result.parse().ok());
    result.is_some_and(|result| result.len() == 32 && result.starts_with(&EIP1271_MAGIC_VALUE))
}

/// The input of `isValidSignature(bytes32,bytes)`.
fn is_valid_signature(digest: B256, signature: &[u8]) -> Bytes {
    const WORD: usize = 32;
    let mut input = EIP1271_MAGIC_VALUE.to_vec();
    input.extend(digest);
    input.extend(B256::from(U256::from(2 * WORD)));
    input.extend(B256::from(U256::from(signature.len())));
    input.extend(signature);
    input.resize(input.len() + (WORD - signature.len() % WORD) % WORD, 0);
    input.into()
}

pub(super) fn get(shared: &Shared, text: &str) -> Result<Reply, Reply> {
    let uid = uid(text)?;
    shared.with(|state| {
        let order = state.orders.get(&uid);
        let order = order.ok_or_else(|| Reply::error(404, "NotFound", "there is no order of this UID"))?;
        Ok(Reply::json(200, &order.to_json(state.now_s())))
    })
}

pub(super) fn by_uids(shared: &Shared, body: &str) -> Result<Reply, Reply> {
    let uids: Vec<OrderUid> = parse_body(body)?;
    if uids.len() > UIDS_MAX {
        return Err(Reply::text(
            400,
            &format!("the request has more than {UIDS_MAX} orders"),
        ));
    }
    shared.with(|state| {
        let found = uids.iter().filter_map(|uid| state.orders.get(uid));
        let orders: Vec<_> = found
            .map(|order| json!({ "order": order.to_json(state.now_s()) }))
            .collect();
        Ok(Reply::json(200, &orders))
    })
}

pub(super) fn of_owner(shared: &Shared, owner: &str, query: &str) -> Result<Reply, Reply> {
    let owner = address(owner)?;
    shared.with(|state| {
        let newest_first = state.orders.all().iter().rev();
        let page = page_of(newest_first.filter(|order| order.owner == owner), query)?;
        let orders: Vec<_> = page.iter().map(|order| order.to_json(state.now_s())).collect();
        Ok(Reply::json(200, &orders))
    })
}

/// Executes an order completely at its limit price, and records the trade; `None` if the order does
/// not exist.
pub(in super::super) fn settle(state: &mut State, uid: &OrderUid) -> Option<Trade> {
    let number = state.trades.len() as u64 + 1;
    let order = state.orders.get_mut(uid)?;
    order.executed = true;
    let trade = Trade {
        block_number: number,
        log_index: 0,
        order_uid: order.uid,
        owner: order.owner,
        sell_token: order.terms.sell_token,
        buy_token: order.terms.buy_token,
        sell_amount: order.terms.sell_amount,
        sell_amount_before_fees: order.terms.sell_amount,
        buy_amount: order.terms.buy_amount,
        tx_hash: Some(keccak256(number.to_be_bytes())),
    };
    state.trades.push(trade.clone());
    Some(trade)
}
