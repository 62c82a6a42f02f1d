//! The cancellation of orders.

use alloy_primitives::{B256, Bytes};
use serde::Deserialize;

use super::super::reply::Reply;
use super::super::state::{Shared, State};
use super::super::{OrderStatus, OrderUid, Scheme, eip712};
use super::{parse_body, uid};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cancellation {
    signature: Bytes,
    signing_scheme: Scheme,
    #[serde(default)]
    order_uids: Vec<OrderUid>,
}

pub(super) fn several(shared: &Shared, body: &str) -> Result<Reply, Reply> {
    let cancellation: Cancellation = parse_body(body)?;
    let uids = &cancellation.order_uids;
    let digest = eip712::cancellations_digest(uids, shared.chain_id);
    shared.change(|state| cancel(state, uids, digest, &cancellation))
}

pub(super) fn one(shared: &Shared, text: &str, body: &str) -> Result<Reply, Reply> {
    let uid = uid(text)?;
    let cancellation: Cancellation = parse_body(body)?;
    let digest = eip712::cancellation_digest(&uid, shared.chain_id);
    shared.change(|state| cancel(state, &[uid], digest, &cancellation))
}

/// Cancels all of these orders or none.
fn cancel(state: &mut State, uids: &[OrderUid], digest: B256, by: &Cancellation) -> Result<Reply, Reply> {
    let signer = eip712::signer(by.signing_scheme, digest, &by.signature);
    let signer = signer.ok_or_else(|| Reply::error(400, "InvalidSignature", "the signature is invalid"))?;
    let now_s = state.now_s();
    for uid in uids {
        let order = state.orders.get(uid);
        let order = order.ok_or_else(|| Reply::error(404, "OrderNotFound", "there is no order of this UID"))?;
        if order.owner != signer {
            let description = format!("the signer is {signer}, but the owner is {}", order.owner);
            return Err(Reply::error(401, "WrongOwner", &description));
        }
        if matches!(order.scheme, Scheme::Eip1271 | Scheme::Presign) {
            let description = "the owner must cancel this order on chain";
            return Err(Reply::error(400, "OnChainOrder", description));
        }
        let (error_type, description) = match order.status(now_s) {
            OrderStatus::Cancelled => ("AlreadyCancelled", "the order is cancelled already"),
            OrderStatus::Fulfilled => ("OrderFullyExecuted", "the order has been executed"),
            OrderStatus::Expired => ("OrderExpired", "the order has expired"),
            OrderStatus::Open | OrderStatus::PresignaturePending => continue,
        };
        return Err(Reply::error(400, error_type, description));
    }
    for uid in uids {
        if let Some(order) = state.orders.get_mut(uid) {
            order.cancelled = true;
        }
    }
    Ok(Reply::json(200, &"Cancelled"))
}
