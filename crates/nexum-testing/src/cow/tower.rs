//! The module `twap` beside a [`CowChain`].

use std::fs;
use std::path::Path;

use super::chain::CowChain;
use crate::order_book::OrderBook;
use crate::{TEST_CHAIN_ID, guests};

/// The name of the module that places conditional orders.
pub const TOWER: &str = "twap";

/// The configuration of a nexum with the module [`TOWER`] for this chain and this order book, which
/// limits the rate of its requests. Writes the module's manifest into the directory.
///
/// # Panics
///
/// If the module is not built, or the manifest cannot be written.
pub fn tower_config(
    directory: &Path,
    chain: &CowChain,
    order_book: &OrderBook,
    order_book_requests_per_second: u32,
) -> String {
    let built = guests::dir(TOWER);
    let manifest = fs::read_to_string(built.join("nexum.toml")).expect("the module's manifest");
    let path = directory.join("twap.toml");
    fs::write(&path, of_test_chain(&manifest)).expect("a manifest");
    format!(
        "[chains.{TEST_CHAIN_ID}]\nrpc_url = {rpc_url:?}\n\
         [cow]\nrequests_per_second = {order_book_requests_per_second}\n\
         [cow.{TEST_CHAIN_ID}]\nbase_url = {base_url:?}\n\
         [[modules]]\npath = {component:?}\nmanifest = {path:?}\n",
        rpc_url = chain.anvil().ws_url(),
        base_url = order_book.url(),
        component = guests::component(TOWER),
    )
}

/// The manifest for mainnet, changed as its comment says: with the test chain, from its first block on.
fn of_test_chain(manifest: &str) -> String {
    let lines = manifest.lines().map(|line| match line.split_once(" = ") {
        Some(("chain_id", _)) => format!("chain_id = {TEST_CHAIN_ID}\n"),
        Some(("from_block", _)) => "from_block = 1\n".to_owned(),
        Some(("required", "[1]")) => format!("required = [{TEST_CHAIN_ID}]\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_moves_to_the_test_chain() {
        let manifest = "# For chain_id 1\n[chains]\nrequired = [1]\n[capabilities]\nrequired = [\"chain\"]\n\
                        [[subscription]]\nchain_id = 1\nfrom_block = 17_883_049\n[config]\nchain_id = 1\n";
        let moved = "# For chain_id 1\n[chains]\nrequired = [11155111]\n[capabilities]\nrequired = [\"chain\"]\n\
                     [[subscription]]\nchain_id = 11155111\nfrom_block = 1\n[config]\nchain_id = 11155111\n";
        assert_eq!(of_test_chain(manifest), moved);
    }
}
