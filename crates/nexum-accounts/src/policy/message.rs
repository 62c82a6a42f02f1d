//! Messages, as `personal_sign` signs them.

use super::{Allowed, Refusal};
use crate::config::rules::Rules;

/// The length of a hash, in bytes. A Safe takes the signature of a message of this length as an
/// approval of the transaction with this hash, and Swarm signs its chunks so.
const HASH_BYTES: usize = 32;

pub(crate) fn check(rules: &Rules, message: &[u8]) -> Result<Allowed, Refusal> {
    let rule = format!("{}.messages", rules.place);
    let Some(messages) = &rules.messages else {
        let hint = "write messages = { prefixes = [\"..\"] }";
        return Err(Refusal::new(&rules.place, "no rule allows messages", hint));
    };
    if message.len() == HASH_BYTES {
        let reason = "a message of 32 bytes can be the hash of anything";
        return match messages.hashes {
            true => Ok(Allowed { rule }),
            false => Err(Refusal::new(
                rule,
                reason,
                "write hashes = true if the module signs hashes",
            )),
        };
    }
    let bytes = message.len();
    if bytes as u64 > messages.bytes_max {
        let reason = format!("the message has {bytes} bytes, and max_bytes is {}", messages.bytes_max);
        return Err(Refusal::new(rule, reason, format!("write max_bytes = {bytes}")));
    }
    match messages
        .prefixes
        .iter()
        .any(|prefix| message.starts_with(prefix.as_bytes()))
    {
        true => Ok(Allowed { rule }),
        false => Err(Refusal::new(
            rule,
            "the message begins with none of the prefixes",
            "add the beginning of the message to `prefixes`",
        )),
    }
}
