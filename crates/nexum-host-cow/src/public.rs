//! The public order books, and the contracts that their orders are signed for.

use alloy_primitives::{Address, address};
use cowprotocol::GPV2_SETTLEMENT;
use nexum_config::topic::ChainId;

use crate::base_url::BaseUrl;

/// The production environment of the public order books.
const PRODUCTION: &str = "https://api.cow.fi/";

/// The host of the staging environment.
const STAGING_HOST: &str = "barn.api.cow.fi";

/// The settlement contract of the staging environment, which has had its own since March 2026.
const STAGING_SETTLEMENT: Address = address!("f553d092b50bdcbddeD1A99aF2cA29FBE5E2CB13");

/// The chains with a public order book, each with its part of the URL. `cowprotocol` does not know
/// the chain Ink (57073).
const CHAINS: [(ChainId, &str); 11] = [
    (1, "mainnet"),
    (56, "bnb"),
    (100, "xdai"),
    (137, "polygon"),
    (8_453, "base"),
    (9_745, "plasma"),
    (42_161, "arbitrum_one"),
    (43_114, "avalanche"),
    (57_073, "ink"),
    (59_144, "linea"),
    (11_155_111, "sepolia"),
];

/// The chains with a public order book.
pub(crate) fn chains() -> impl Iterator<Item = ChainId> {
    CHAINS.into_iter().map(|(chain_id, _)| chain_id)
}

/// The part of a public URL that names the chain.
pub(crate) fn slug(chain_id: ChainId) -> Option<&'static str> {
    let known = CHAINS.into_iter().find(|(known, _)| *known == chain_id);
    known.map(|(_, slug)| slug)
}

/// The public order book of a chain.
pub(crate) fn order_book(chain_id: ChainId) -> Option<BaseUrl> {
    BaseUrl::parse(&format!("{PRODUCTION}{}/", slug(chain_id)?)).ok()
}

/// The settlement contract of the environment that an order book belongs to. An order book of the
/// operator's own belongs to production.
pub(crate) fn settlement(base: &BaseUrl) -> Address {
    match base.url().host_str() {
        Some(STAGING_HOST) => STAGING_SETTLEMENT,
        _ => GPV2_SETTLEMENT,
    }
}
