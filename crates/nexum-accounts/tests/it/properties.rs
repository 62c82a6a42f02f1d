//! For any typed data: no panic, and a digest only if alloy has it.

use alloy_dyn_abi::TypedData;
use nexum_accounts::TypedMessage;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// A field's type with a value of it, and other pairs too.
fn field() -> impl Strategy<Value = (String, Value)> {
    let simple = prop_oneof![
        any::<u64>().prop_map(|number| ("uint256".to_owned(), json!(number))),
        any::<u128>().prop_map(|number| ("uint256".to_owned(), json!(number.to_string()))),
        any::<i64>().prop_map(|number| ("int64".to_owned(), json!(number))),
        any::<[u8; 20]>().prop_map(|bytes| (
            "address".to_owned(),
            json!(alloy_primitives::hex::encode_prefixed(bytes))
        )),
        any::<[u8; 4]>().prop_map(|bytes| ("bytes4".to_owned(), json!(alloy_primitives::hex::encode(bytes)))),
        any::<bool>().prop_map(|flag| ("bool".to_owned(), json!(flag))),
        ".{0,20}".prop_map(|text| ("string".to_owned(), json!(text))),
        ("[a-zA-Z0-9\\[\\]]{1,12}", any::<i8>()).prop_map(|(ty, value)| (ty, json!(value))),
    ];
    (simple, 0_usize..4, any::<bool>()).prop_map(|((ty, value), length, is_array)| match is_array {
        true => (format!("{ty}[]"), Value::Array(vec![value; length])),
        false => (ty, value),
    })
}

fn data() -> impl Strategy<Value = Value> {
    let fields = || prop::collection::vec(field(), 0..6);
    (fields(), fields(), any::<Option<u64>>(), "[a-zA-Z]{1,8}").prop_map(|(outer, inner, chain, kind)| {
        let types = |fields: &[(String, Value)]| -> Vec<Value> {
            let fields = fields.iter().enumerate();
            fields
                .map(|(index, (ty, _))| json!({"name": format!("f{index}"), "type": ty}))
                .collect()
        };
        let values = |fields: &[(String, Value)]| -> serde_json::Map<String, Value> {
            let fields = fields.iter().enumerate();
            fields
                .map(|(index, (_, value))| (format!("f{index}"), value.clone()))
                .collect()
        };
        let mut outer_types = types(&outer);
        outer_types.push(json!({"name": "inner", "type": "Inner"}));
        let mut message = values(&outer);
        message.insert("inner".to_owned(), values(&inner).into());
        let domain = chain.map_or_else(|| json!({}), |chain| json!({"chainId": chain, "name": kind}));
        json!({
            "types": {(kind.clone()): outer_types, "Inner": types(&inner)},
            "primaryType": kind,
            "domain": domain,
            "message": message
        })
    })
}

/// Whether nexum takes the text. Fails if its digest is not that of alloy alone. The fuzz target
/// `typed_data` has the same property.
fn is_taken(text: &str) -> bool {
    let Ok(message) = TypedMessage::parse(text) else {
        return false;
    };
    // Of two equal keys, the last one counts.
    let value: Value = serde_json::from_str(text).unwrap();
    let data = serde_json::from_value::<TypedData>(value).unwrap();
    assert_eq!(message.preimage().digest(), data.eip712_signing_hash().unwrap());
    true
}

#[test]
fn the_generator_makes_data_that_is_taken() {
    let mut runner = TestRunner::deterministic();
    let data = data();
    let taken = (0..256).filter(|_| is_taken(&data.new_tree(&mut runner).unwrap().current().to_string()));
    // Far fewer would make the property below an empty one.
    assert!(taken.count() > 32);
}

proptest! {
    #[test]
    fn the_digest_of_typed_data_is_that_of_alloy(data in data()) {
        is_taken(&data.to_string());
    }

    #[test]
    fn any_text_is_refused_or_has_the_digest_of_alloy(text in "\\PC{0,200}", at in 0_usize..400, byte in any::<u8>()) {
        is_taken(&text);
        let valid = json!({
            "types": {"A": [{"name": "x", "type": "uint8[2][]"}, {"name": "b", "type": "B"}], "B": [{"name": "y", "type": "bytes"}]},
            "primaryType": "A",
            "domain": {"name": "n", "chainId": 1},
            "message": {"x": [[1, 2]], "b": {"y": "0x00"}}
        });
        let mut bytes = valid.to_string().into_bytes();
        let length = bytes.len();
        bytes[at % length] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            is_taken(&text);
        }
    }
}
