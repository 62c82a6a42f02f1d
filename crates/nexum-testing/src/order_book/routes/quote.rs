//! Quotes for orders.

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::super::checks::{VALIDITY_MAX_S, VALIDITY_MIN_S};
use super::super::date::iso_8601;
use super::super::quoted::{Quoted, Trade};
use super::super::reply::Reply;
use super::super::state::{Shared, State};
use super::super::terms::{app_data_hash, as_hash, decimal};
use super::super::{Kind, OrderTerms, Scheme, TokenBalance};
use super::{no_liquidity, parse_body};

/// The network fee of every quote, in atoms of the sold token.
const FEE: u64 = 1_000;

/// The default validity of a quoted order, in seconds.
const VALIDITY_DEFAULT_S: u64 = 1_800;

/// The validity of a quote, in milliseconds.
const EXPIRY_MS: u64 = 120_000;

/// The scale of prices: a price is a whole number of this fraction of an atom.
const PRICE_SCALE: f64 = 1e9;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuoteRequest {
    sell_token: Address,
    buy_token: Address,
    from: Address,
    #[serde(default)]
    receiver: Option<Address>,
    kind: Kind,
    #[serde(default, deserialize_with = "amount")]
    sell_amount_before_fee: Option<U256>,
    #[serde(default, deserialize_with = "amount")]
    sell_amount_after_fee: Option<U256>,
    #[serde(default, deserialize_with = "amount")]
    buy_amount_after_fee: Option<U256>,
    #[serde(default)]
    valid_to: Option<u32>,
    #[serde(default)]
    valid_for: Option<u32>,
    #[serde(default)]
    app_data: Option<String>,
    #[serde(default)]
    app_data_hash: Option<B256>,
    #[serde(default)]
    partially_fillable: bool,
    #[serde(default)]
    sell_token_balance: TokenBalance,
    #[serde(default)]
    buy_token_balance: TokenBalance,
    #[serde(default = "by_key")]
    signing_scheme: Scheme,
}

fn by_key() -> Scheme {
    Scheme::Eip712
}

fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<U256>, D::Error> {
    decimal::deserialize(deserializer).map(Some)
}

pub(super) fn quote(shared: &Shared, body: &str) -> Result<Reply, Reply> {
    let request: QuoteRequest = parse_body(body)?;
    shared.change(|state| {
        let valid_to = check(&request, state)?;
        let (sell_amount, buy_amount) = amounts(&request, state)?;
        let expires_ms = state.clock.now_ms() + EXPIRY_MS;
        state.quotes.push(Quoted {
            trade: Trade {
                kind: request.kind,
                sell_token: request.sell_token,
                buy_token: request.buy_token,
            },
            expires_ms,
        });
        let mut quote = json!({
            "sellToken": request.sell_token,
            "buyToken": request.buy_token,
            "receiver": request.receiver,
            "sellAmount": sell_amount.to_string(),
            "buyAmount": buy_amount.to_string(),
            "validTo": valid_to,
            "feeAmount": FEE.to_string(),
            "gasAmount": "150000",
            "gasPrice": "15000000000",
            "sellTokenPrice": state.price(request.sell_token).unwrap_or_default().to_string(),
            "kind": request.kind,
            "partiallyFillable": request.partially_fillable,
            "sellTokenBalance": request.sell_token_balance,
            "buyTokenBalance": request.buy_token_balance,
            "signingScheme": request.signing_scheme,
        });
        add_app_data(&mut quote, &request);
        Ok(Reply::json(
            200,
            &json!({
                "quote": quote,
                "from": request.from,
                "expiration": iso_8601(expires_ms),
                "id": state.quotes.len(),
                "verified": true,
            }),
        ))
    })
}

/// Whether an order comes from a quote of this order book. An unknown quote gives false. An expired
/// one, and one for another trade, are errors.
pub(super) fn is_quoted(state: &State, terms: &OrderTerms) -> Result<bool, Reply> {
    let place = terms.quote_id.and_then(|id| usize::try_from(id).ok()?.checked_sub(1));
    let Some(quoted) = place.and_then(|place| state.quotes.get(place)) else {
        return Ok(false);
    };
    let trade = Trade {
        kind: terms.kind,
        sell_token: terms.sell_token,
        buy_token: terms.buy_token,
    };
    if quoted.expires_ms <= state.clock.now_ms() {
        Err(Reply::error(400, "QuoteNotFound", "the quote has expired"))
    } else if quoted.trade == trade {
        Ok(true)
    } else {
        Err(Reply::error(400, "InvalidQuote", "the quote is for another trade"))
    }
}

/// Makes the checks that orders have too. Returns the end of the order, in seconds since the Unix
/// epoch.
fn check(request: &QuoteRequest, state: &State) -> Result<u64, Reply> {
    let refuse = |error_type: &str, description: &str| Err(Reply::error(400, error_type, description));
    let now_s = state.now_s();
    let valid_to = match (request.valid_to, request.valid_for) {
        (Some(valid_to), _) => u64::from(valid_to),
        (None, valid_for) => now_s + valid_for.map_or(VALIDITY_DEFAULT_S, u64::from),
    };
    if state.rules.denied.contains(&request.from) {
        return Err(Reply::error(403, "Forbidden", "this owner may not trade"));
    }
    if valid_to < now_s + VALIDITY_MIN_S {
        return refuse("InsufficientValidTo", "the end of the order is too early");
    }
    if valid_to > now_s + VALIDITY_MAX_S {
        return refuse("ExcessiveValidTo", "the end of the order is more than a year ahead");
    }
    if request.sell_token == request.buy_token {
        return refuse("SameBuyAndSellToken", "the sold and the bought token are equal");
    }
    let tokens = [request.sell_token, request.buy_token];
    if tokens.iter().any(|token| state.rules.refused_tokens.contains(token)) {
        return refuse("UnsupportedToken", "one of the tokens is not supported");
    }
    let hash = request.app_data.as_deref().map(app_data_hash);
    if request.app_data_hash.is_some() && hash != request.app_data_hash {
        return refuse("AppDataHashMismatch", "appDataHash is not the hash of appData");
    }
    Ok(valid_to)
}

/// The sold and the bought amount of a quote.
fn amounts(request: &QuoteRequest, state: &State) -> Result<(U256, U256), Reply> {
    let price = |token| Ok(scaled(state.price(token).ok_or_else(no_liquidity)?));
    let (sell_price, buy_price) = (price(request.sell_token)?, price(request.buy_token)?);
    let fee = U256::from(FEE);
    let sold = match (
        request.kind,
        request.sell_amount_before_fee,
        request.sell_amount_after_fee,
    ) {
        (Kind::Sell, Some(before), None) => {
            Some(before.checked_sub(fee).filter(|left| !left.is_zero()).ok_or_else(|| {
                let data = json!({ "fee_amount": FEE.to_string() });
                Reply::error_with(
                    400,
                    "SellAmountDoesNotCoverFee",
                    "the fee exceeds the sold amount",
                    data,
                )
            })?)
        }
        (Kind::Sell, None, Some(after)) => Some(after),
        _ => None,
    };
    let bought = request.buy_amount_after_fee.filter(|_| request.kind == Kind::Buy);
    match (sold, bought) {
        (Some(sold), None) => Ok((sold, sold.saturating_mul(sell_price) / buy_price)),
        (None, Some(bought)) => Ok((bought.saturating_mul(buy_price).div_ceil(sell_price), bought)),
        _ => Err(Reply::text(
            422,
            "exactly one amount is required, and it must match the kind",
        )),
    }
}

fn scaled(price: f64) -> U256 {
    U256::from((price * PRICE_SCALE).max(1.0) as u128)
}

/// Adds the app data in the form in which the request has it.
fn add_app_data(quote: &mut Value, request: &QuoteRequest) {
    match request.app_data.as_deref() {
        Some(document) if as_hash(document).is_none() => {
            quote["appData"] = json!(document);
            quote["appDataHash"] = json!(app_data_hash(document));
        }
        hash => quote["appData"] = json!(hash.and_then(as_hash).unwrap_or_default()),
    }
}
