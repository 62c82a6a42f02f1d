//! Placing orders and reading them.

use alloy_primitives::{Address, B256, keccak256};
use serde_json::json;

use super::super::checks::{self, Case, ORDER_BYTES_MAX};
use super::super::creation::Creation;
use super::super::onchain::OnChain;
use super::super::reply::Reply;
use super::super::state::{Shared, State};
use super::super::stored::{StoredOrder, Trade};
use super::super::{OrderUid, Scheme, eip712};
use super::{address, page_of, parse_body, quote, uid};

/// The most orders per request.
const UIDS_MAX: usize = 128;

/// Creates an order. The sequence of the checks is that of the real order book, which looks for an
/// existing order last.
pub(super) async fn create(shared: &Shared, body: &str) -> Result<Reply, Reply> {
    if body.len() > ORDER_BYTES_MAX {
        return Err(Reply::text(413, "the order is too large"));
    }
    let creation = Creation::parse(body)?;
    let (rules, now_s, chain_url) = shared.with(|state| (state.rules.clone(), state.now_s(), state.chain_url.clone()));
    let document = shared.with(|state| document(state, &creation));
    let named_signer = checks::check_app_data(&creation, document.as_deref())?;
    let owner = creation.owner(shared.chain_id)?;
    if named_signer.is_some_and(|named| named != owner) {
        let description = "appData names another signer";
        return Err(Reply::error(400, "AppdataFromMismatch", description));
    }

    let digest = eip712::order_digest(&creation.terms, shared.chain_id);
    let chain = chain_url.as_ref().map(|url| OnChain {
        client: &shared.client,
        url,
    });
    if let (Scheme::Eip1271, Some(chain)) = (creation.signing_scheme, &chain)
        && !chain.accepts(owner, digest, &creation.signature).await
    {
        let description = "the owner's contract does not accept the signature";
        return Err(Reply::error(400, "InvalidEip1271Signature", description));
    }
    checks::check(&Case {
        creation: &creation,
        owner,
        rules: &rules,
        now_s,
    })?;
    if let Some(chain) = &chain {
        chain.check_transfer(&creation, owner).await?;
    }
    let uid = eip712::uid(digest, owner, creation.terms.valid_to);
    shared.change(|state| store(state, creation, uid, owner))?;
    Ok(Reply::json(201, &uid))
}

/// The document of an order. The zero hash stands for the empty object.
fn document(state: &State, creation: &Creation) -> Option<String> {
    let given = creation.document().map(str::to_owned);
    given.or_else(|| match creation.terms.app_data_hash() {
        B256::ZERO => Some("{}".to_owned()),
        hash if hash == keccak256("{}") => Some("{}".to_owned()),
        hash => state.app_data.get(&hash).cloned(),
    })
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
