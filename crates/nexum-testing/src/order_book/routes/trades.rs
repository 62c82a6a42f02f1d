//! The trades of an owner or an order.

use super::super::reply::Reply;
use super::super::state::{Shared, State};
use super::super::stored::Trade;
use super::{address, page_of, parameter, uid};

/// All trades of an owner or of an order, newest first.
pub(super) fn all(shared: &Shared, query: &str) -> Result<Reply, Reply> {
    shared.with(|state| Ok(Reply::json(200, &of(state, query)?)))
}

/// One page of the trades of an owner or of an order.
pub(super) fn page(shared: &Shared, query: &str) -> Result<Reply, Reply> {
    shared.with(|state| Ok(Reply::json(200, &page_of(of(state, query)?.into_iter(), query)?)))
}

fn of<'a>(state: &'a State, query: &str) -> Result<Vec<&'a Trade>, Reply> {
    let newest_first = state.trades.iter().rev();
    match (parameter(query, "owner"), parameter(query, "orderUid")) {
        (Some(owner), None) => {
            let owner = address(&owner)?;
            Ok(newest_first.filter(|trade| trade.owner == owner).collect())
        }
        (None, Some(order)) => {
            let uid = uid(&order)?;
            Ok(newest_first.filter(|trade| trade.order_uid == uid).collect())
        }
        _ => {
            let description = "exactly one of owner and orderUid is required";
            Err(Reply::error(400, "InvalidTradeFilter", description))
        }
    }
}
