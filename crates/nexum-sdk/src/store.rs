//! The module's state: typed values that live in the host's store.
//!
//! The host keeps an event's writes only if its handler returns ok. After a failure, or a
//! reorganisation, the memory of the instance is lost and the state is as before the event: keep in
//! the store what must not be lost.
//!
//! Values are encoded with postcard, which has no field names: a changed type cannot read old
//! values.
//!
//! ```
//! use nexum_sdk::{Address, store};
//!
//! const SEEN: store::Counter = store::Counter::new("seen");
//! const BALANCES: store::Map<(Address, u64), u128> = store::Map::new("balances");
//!
//! # fn example(owner: Address) -> nexum_sdk::Result {
//! SEEN.add(1)?;
//! BALANCES.set(&(owner, 7), &1_000)?;
//! for entry in BALANCES.under(&owner)? {
//!     let ((_, block), balance) = entry?;
//! }
//! # Ok(())
//! # }
//! ```

mod cell;
mod counter;
mod key;
mod map;
mod queue;
mod schedule;

pub use cell::Cell;
pub use counter::Counter;
pub use key::{Key, StartOf};
pub use map::Map;
pub use queue::{Due, Queue};
pub use schedule::Schedule;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, ErrorKind, Result, host};

fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>> {
    let Some(bytes) = host::store_get(key)? else {
        return Ok(None);
    };
    let value = postcard::from_bytes(&bytes);
    value.map(Some).map_err(|error| unreadable(key, &error))
}

fn set<T: Serialize + ?Sized>(key: &str, value: &T) -> Result {
    let bytes = postcard::to_allocvec(value).map_err(|error| unreadable(key, &error))?;
    host::store_set(key, &bytes)
}

fn unreadable(key: &str, error: &dyn std::fmt::Display) -> Error {
    Error::of(
        "local-store",
        ErrorKind::Internal,
        format!("the value of {key:?}: {error}"),
    )
}
