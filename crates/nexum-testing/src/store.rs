//! What modules keep, as tests read it.

use nexum_core::names::ModuleName;
use nexum_core::state;
use nexum_core::store::StateStore;

/// What the fixture `journal` has written under this name: an entry for each event, in order.
///
/// # Panics
/// When the store does not hold what the fixture writes.
pub fn journal(store: &dyn StateStore, module: &str) -> Vec<String> {
    let name: ModuleName = module.parse().expect("a module's name");
    let value = |key: &str| state::admin::get(store, &name, key.as_bytes()).expect("a readable state");
    let count = value("entries").unwrap_or_default();
    let count = count.try_into().map_or(0, u64::from_le_bytes);
    let entry = |index: u64| {
        let entry = value(&format!("{index:010}"));
        String::from_utf8(entry.expect("an entry for each number")).expect("text")
    };
    (0..count).map(entry).collect()
}
