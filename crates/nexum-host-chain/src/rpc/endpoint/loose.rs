//! Parses answers leniently: JSON-RPC 2.0 allows either a result or an error, but some servers send
//! both, one of them null.

use alloy_json_rpc::{ErrorPayload, Id, PubSubItem, Response, ResponsePacket, ResponsePayload};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

/// A response that may have both members. A non-null error overrides the result.
#[derive(Deserialize)]
struct Loose {
    id: Id,
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<ErrorPayload>,
}

impl From<Loose> for Response {
    fn from(loose: Loose) -> Self {
        let payload = match (loose.error, loose.result) {
            (Some(error), _) => ResponsePayload::Failure(error),
            (None, Some(result)) => ResponsePayload::Success(result),
            (None, None) => ResponsePayload::Success(RawValue::NULL.to_owned()),
        };
        Self { id: loose.id, payload }
    }
}

/// Parses the body of an answer over http.
pub(super) fn packet(body: &[u8]) -> serde_json::Result<ResponsePacket> {
    let strict = serde_json::from_slice(body);
    strict.or_else(|error| {
        if let Ok(batch) = serde_json::from_slice::<Vec<Loose>>(body) {
            return Ok(ResponsePacket::Batch(batch.into_iter().map(Response::from).collect()));
        }
        let single = serde_json::from_slice::<Both>(body).map_err(|_| error)?;
        Ok(ResponsePacket::Single(single.0.into()))
    })
}

/// Parses a message over ws or ipc.
pub(super) fn item(message: &[u8]) -> serde_json::Result<PubSubItem> {
    let strict = serde_json::from_slice(message);
    strict.or_else(|error| {
        let both = serde_json::from_slice::<Both>(message).map_err(|_| error)?;
        Ok(PubSubItem::Response(both.0.into()))
    })
}

/// A [`Loose`] response with at least one of the two members. Any other object is not a response.
struct Both(Loose);

impl<'de> Deserialize<'de> for Both {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let message = Box::<RawValue>::deserialize(deserializer)?;
        let object: std::collections::BTreeMap<String, &RawValue> =
            serde_json::from_str(message.get()).map_err(de::Error::custom)?;
        if !object.contains_key("result") && !object.contains_key("error") {
            return Err(de::Error::custom("neither a result nor an error"));
        }
        serde_json::from_str(message.get()).map(Self).map_err(de::Error::custom)
    }
}

/// A message over ipc.
pub(super) struct Item(pub(super) PubSubItem);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let message = Box::<RawValue>::deserialize(deserializer)?;
        item(message.get().as_bytes()).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_beside_the_other_member_is_no_member() {
        let result = br#"{"jsonrpc":"2.0","id":1,"result":"0x1","error":null}"#;
        let null = br#"{"jsonrpc":"2.0","id":1,"result":null,"error":null}"#;
        let error = br#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":-32000,"message":"no"}}"#;
        for (text, expected) in [
            (&result[..], Ok("\"0x1\"")),
            (&null[..], Ok("null")),
            (&error[..], Err(-32_000)),
        ] {
            let responses = [
                match packet(text).unwrap() {
                    ResponsePacket::Single(response) => response,
                    ResponsePacket::Batch(batch) => panic!("{batch:?}"),
                },
                match packet(&[b"[", text, b"]"].concat()).unwrap() {
                    ResponsePacket::Batch(batch) => batch[0].clone(),
                    ResponsePacket::Single(response) => panic!("{response:?}"),
                },
                match item(text).unwrap() {
                    PubSubItem::Response(response) => response,
                    PubSubItem::Notification(heard) => panic!("{heard:?}"),
                },
            ];
            for response in &responses {
                let read = match &response.payload {
                    ResponsePayload::Success(result) => Ok(result.get()),
                    ResponsePayload::Failure(error) => Err(error.code),
                };
                assert_eq!(read, expected);
            }
        }
        assert!(packet(b"{}").is_err() && item(br#"{"id":1}"#).is_err());
    }
}
