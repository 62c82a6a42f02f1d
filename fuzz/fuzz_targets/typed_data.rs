//! Typed data that a module wants to sign: never a panic, and the digest is that of the JSON by alloy alone.

#![no_main]

use alloy_dyn_abi::TypedData;
use libfuzzer_sys::fuzz_target;
use nexum_accounts::TypedMessage;

fuzz_target!(|text: &str| {
    let Ok(message) = TypedMessage::parse(text) else { return };
    // Of two equal keys, the last one counts.
    let value = serde_json::from_str(text).unwrap_or_default();
    let data = serde_json::from_value::<TypedData>(value);
    let digest = data.ok().and_then(|data| data.eip712_signing_hash().ok());
    assert_eq!(digest, Some(message.preimage().digest()));
});
