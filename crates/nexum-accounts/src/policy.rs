//! Decides what a module may sign. Each check is a function of the rules and a decoded value.

pub(crate) mod message;
pub(crate) mod transaction;
pub(crate) mod typed_data;

use std::fmt;

use nexum_config::hint::Hint;

/// The permission to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Allowed {
    /// The full path of the rule, such as `identity.twap.keeper.typed_data[0]`.
    pub rule: String,
}

/// Why a module may not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({rule})")]
pub struct Refusal {
    /// The full path of the rule that comes closest, or of the table without one.
    pub rule: String,
    /// The reason.
    pub reason: String,
    /// The line that would allow it.
    hint: String,
}

impl Refusal {
    fn new(rule: impl fmt::Display, reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            rule: rule.to_string(),
            reason: reason.into(),
            hint: hint.into(),
        }
    }
}

impl Hint for Refusal {
    fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }
}

/// Why one rule does not fit, and how many of its keys fit before.
struct Mismatch {
    fitting: usize,
    reason: String,
}

/// The permission of the first rule that fits. Otherwise the index and the reason of the rule with the
/// most keys that fit, or `None` without rules.
fn first_fit<T>(
    place: &str,
    list: &str,
    rules: &[T],
    check: impl Fn(&T) -> Result<(), Mismatch>,
) -> Result<Allowed, Option<(String, String)>> {
    let mut closest: Option<(usize, Mismatch)> = None;
    let rule = |index: usize| format!("{place}.{list}[{index}]");
    for (index, found) in rules.iter().enumerate() {
        match check(found) {
            Ok(()) => return Ok(Allowed { rule: rule(index) }),
            Err(mismatch) if closest.as_ref().is_none_or(|(_, best)| mismatch.fitting > best.fitting) => {
                closest = Some((index, mismatch));
            }
            Err(_) => {}
        }
    }
    Err(closest.map(|(index, mismatch)| (rule(index), mismatch.reason)))
}
