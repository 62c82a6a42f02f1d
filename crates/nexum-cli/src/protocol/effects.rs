//! The messages about effects.

use nexum_config::names::ModuleName;
use nexum_core::state::{self, Effect, Resolution};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::args::Outcome;
use crate::report::{hex, of_hex};

/// The path of the list of effects.
pub(crate) const EFFECTS: &str = "/v1/effects";

/// The most effects in a list.
pub(crate) const EFFECTS_PER_ANSWER_MAX: usize = 1_000;

/// The largest answer that an operator gives for an effect, in bytes. As JSON it takes twice as many at most, within
/// the bound of a request.
pub(crate) const GIVEN_ANSWER_BYTES_MAX: usize = 30 << 10;

/// The record of an effect: a request of a module that changes something outside nexum.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct EffectRecord {
    pub(crate) module: String,
    /// The id of the event that had the effect.
    pub(crate) event: String,
    /// The number of the effect among those of its event, from 1.
    pub(crate) number: u32,
    /// The kind of the request: `order-book`, `http`, `transaction` or `rpc`.
    pub(crate) kind: String,
    /// The receiver, without secrets.
    pub(crate) target: String,
    /// The consequence of a repeated request: `repeatable` if the receiver recognises it, `idempotent` if it leaves
    /// the same content, `once` if it may do everything twice. nexum does not send the last kind again.
    pub(crate) class: String,
    pub(crate) state: EffectState,
    /// The reason why the outcome is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Whether only the operator can say what happened.
    pub(crate) in_doubt: bool,
    /// Whether the module's state does not know the effect any more.
    pub(crate) stranded: bool,
    /// The meaning of the state, and the next step.
    pub(crate) meaning: String,
    /// The number of the attempt at the event, from 1.
    pub(crate) attempt: u32,
    /// The time of the latest change of the record, in milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    /// The SHA-256 of kind, target and request, in hexadecimal digits. Equal effects have equal digests.
    pub(crate) digest: String,
    /// A random key that each repetition of the request has. nexum sends it as the header `Idempotency-Key` of a
    /// `POST` or `PATCH` without one.
    pub(crate) key: String,
    /// The length of the whole request, in bytes.
    pub(crate) request_bytes: u64,
    /// The first 64 KiB of the request. A list does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<Content>,
    /// The receiver's answer, if nexum knows it. A list does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<Content>,
}

/// The knowledge of nexum about the outcome of an effect:
///
/// - `intent`: nexum is about to send the request, or ended before it knew the outcome.
/// - `unknown`: nexum sent the request, and does not know the outcome.
/// - `done`: the receiver accepted the request.
/// - `refused`: the receiver has certainly not acted on the request. Another attempt at the event may send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EffectState {
    Intent,
    Unknown,
    Done,
    Refused,
}

/// A selection of effects:
///
/// - `unknown`: effects in doubt, about which only the operator can say what happened.
/// - `stranded`: effects that the module's state does not know any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EffectFilter {
    Unknown,
    Stranded,
}

/// Bytes: text if they are UTF-8 without control characters, or else hexadecimal digits after 0x.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Bytes)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Content {
    Text(String),
    Hex(String),
}

/// The statement of an operator about an effect.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = EffectResolution)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resolve {
    #[serde(rename = "as")]
    pub(crate) outcome: Outcome,
    /// The receiver's answer to a request that is done, at most 30 KiB. Default: an empty answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<Content>,
}

/// An effect whose outcome nexum knows now.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = EffectResolved)]
pub(crate) struct Resolved {
    /// Whether the event is a dead letter, which you can retry now.
    pub(crate) dead_letter: bool,
}

impl EffectFilter {
    /// Whether the selection has this effect.
    pub(crate) fn has(self, effect: &Effect) -> bool {
        match self {
            Self::Unknown => effect.is_in_doubt(),
            Self::Stranded => effect.is_stranded,
        }
    }

    /// The word in the query of a request.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Stranded => "stranded",
        }
    }
}

impl EffectRecord {
    /// The record without the request and the answer.
    pub(crate) fn summary(module: &ModuleName, effect: &Effect) -> Self {
        let (state, reason) = match &effect.state {
            state::EffectState::Intent => (EffectState::Intent, None),
            state::EffectState::Unknown(reason) => (EffectState::Unknown, Some(reason.clone())),
            state::EffectState::Done(_) => (EffectState::Done, None),
            state::EffectState::Refused => (EffectState::Refused, None),
        };
        Self {
            module: module.to_string(),
            event: effect.event.to_string(),
            number: effect.number,
            kind: effect.kind.clone(),
            target: effect.target.clone(),
            class: effect.class.name().to_owned(),
            state,
            reason,
            in_doubt: effect.is_in_doubt(),
            stranded: effect.is_stranded,
            meaning: meaning(module, effect),
            attempt: effect.attempt,
            at_ms: effect.at_ms,
            digest: hex(&effect.digest),
            key: effect.key_text(),
            request_bytes: effect.request_bytes,
            request: None,
            answer: None,
        }
    }

    /// The whole record.
    pub(crate) fn whole(module: &ModuleName, effect: &Effect) -> Self {
        let answer = match &effect.state {
            state::EffectState::Done(Some(answer)) => Some(Content::of(answer)),
            _ => None,
        };
        Self {
            request: Some(Content::of(&effect.request)),
            answer,
            ..Self::summary(module, effect)
        }
    }
}

/// The meaning of an effect's state, and the next step.
fn meaning(module: &ModuleName, effect: &Effect) -> String {
    let is_done = matches!(effect.state, state::EffectState::Done(_));
    let is_once = effect.class == state::EffectClass::Once;
    let Effect { event, number, .. } = effect;
    let resolve = format!(
        "ask the receiver, and say what happened with `nexum effect resolve {module} {event} {number} --as done` or \
         `--as not-sent`"
    );
    let unsure = "nexum does not know whether the receiver has acted on the request";
    if effect.state == state::EffectState::Refused {
        return "the receiver has not acted on the request; another attempt at the event may send it".to_owned();
    }
    if effect.is_stranded {
        let lost = "the module's state does not know the effect, because a reorganisation removed its event or a \
                    later attempt went another way";
        return match (is_done, is_once) {
            (true, _) => format!(
                "it has happened, and {lost}; an event that makes this request again gets the answer, and nexum \
                 sends nothing: undo it at the receiver if it must not stand"
            ),
            (false, true) => format!("{unsure}, and {lost}: {resolve}"),
            (false, false) => format!(
                "{unsure}, and {lost}; nexum sends the request again if an event makes it again: look at the \
                 receiver, and undo it there if it must not stand"
            ),
        };
    }
    match (is_done, is_once) {
        (true, _) => "the receiver has accepted the request; nexum does not send it again".to_owned(),
        (false, _) if effect.is_over => format!("{unsure}, and the module has handled its event with this outcome"),
        (false, true) => format!("{unsure}, and sends it at most once: {resolve}"),
        (false, false) => {
            format!("{unsure}, and sends it again at the next attempt at the event: nothing to do")
        }
    }
}

impl Content {
    /// The content of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let is_plain = |text: &&str| !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
        match std::str::from_utf8(bytes).ok().filter(is_plain) {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Hex(hex(bytes)),
        }
    }

    /// The bytes, if the digits are hexadecimal.
    pub(crate) fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Hex(digits) => of_hex(digits.strip_prefix("0x")?),
        }
    }
}

impl Resolve {
    /// The same statement, for the core.
    ///
    /// # Errors
    ///
    /// The fault in the answer.
    pub(crate) fn into_resolution(self) -> Result<Resolution, String> {
        let answer = match (self.outcome, self.answer) {
            (Outcome::NotSent, None) => return Ok(Resolution::NotSent),
            (Outcome::NotSent, Some(_)) => return Err("answer: only a request that is done has an answer".to_owned()),
            (Outcome::Done, answer) => answer.map(Content::into_bytes),
        };
        match answer.unwrap_or_else(|| Some(Vec::new())) {
            None => Err("answer: expected pairs of hexadecimal digits after 0x".to_owned()),
            Some(answer) if answer.len() > GIVEN_ANSWER_BYTES_MAX => {
                Err(format!("answer: has more than {GIVEN_ANSWER_BYTES_MAX} bytes"))
            }
            Some(answer) => Ok(Resolution::Done(answer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_text_if_they_are_text() {
        for (bytes, expected) in [
            (
                &b"POST https://x/\n\n{}\t"[..],
                Content::Text("POST https://x/\n\n{}\t".to_owned()),
            ),
            (b"", Content::Text(String::new())),
            (b"\x1b[2J", Content::Hex("0x1b5b324a".to_owned())),
            (&[0x02, 0xf8, 0xff], Content::Hex("0x02f8ff".to_owned())),
        ] {
            let content = Content::of(bytes);
            assert_eq!(content, expected);
            assert_eq!(content.into_bytes().as_deref(), Some(bytes));
        }
        for digits in ["", "00", "0x0", "0xgg", "0x+1"] {
            assert_eq!(Content::Hex(digits.to_owned()).into_bytes(), None, "{digits}");
        }
    }

    #[test]
    fn only_a_request_that_is_done_has_an_answer() {
        let resolve = |text: &str| {
            serde_json::from_str::<Resolve>(text)
                .expect("a message")
                .into_resolution()
        };
        assert_eq!(resolve(r#"{"as": "not-sent"}"#), Ok(Resolution::NotSent));
        assert_eq!(resolve(r#"{"as": "done"}"#), Ok(Resolution::Done(Vec::new())));
        assert_eq!(
            resolve(r#"{"as": "done", "answer": {"hex": "0x00ff"}}"#),
            Ok(Resolution::Done(vec![0, 0xff]))
        );
        for (text, expected) in [
            (
                r#"{"as": "not-sent", "answer": {"text": ""}}"#,
                "only a request that is done",
            ),
            (
                r#"{"as": "done", "answer": {"hex": "0x0"}}"#,
                "expected pairs of hexadecimal digits",
            ),
        ] {
            let error = resolve(text).expect_err("a fault");
            assert!(error.contains(expected), "{error}");
        }
        let large = Some(Content::Text("a".repeat(GIVEN_ANSWER_BYTES_MAX + 1)));
        let resolve = Resolve {
            outcome: Outcome::Done,
            answer: large,
        };
        assert!(resolve.into_resolution().is_err());
    }
}
