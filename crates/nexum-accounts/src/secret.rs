//! Text that no error, log or `Debug` shows.

use std::fmt;
use std::sync::Arc;

use nexum_config::document::deserialize_text;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A secret text. Clones share one copy, which is overwritten when the last one is dropped.
#[derive(Clone)]
pub(crate) struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a string", |text| {
            Ok::<_, std::fmt::Error>(Self(Arc::new(Zeroizing::new(text.to_owned()))))
        })
    }
}
