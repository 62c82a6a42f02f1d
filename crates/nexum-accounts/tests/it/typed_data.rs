use alloy_dyn_abi::TypedData;
use nexum_accounts::{TYPED_DATA_BYTES_MAX, TypedDataError, TypedMessage, VALUES_MAX};
use nexum_config::hint::Hint as _;
use serde_json::{Value, json};

use crate::support::{ADDRESS, OTHER, grant};

fn order() -> Value {
    json!({
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"}
            ],
            "Order": [
                {"name": "receiver", "type": "address"},
                {"name": "sellAmount", "type": "uint256"},
                {"name": "partiallyFillable", "type": "bool"},
                {"name": "appData", "type": "bytes32"},
                {"name": "hook", "type": "Hook"},
                {"name": "tags", "type": "string[]"}
            ],
            "Hook": [{"name": "target", "type": "address"}, {"name": "kind", "type": "string"}]
        },
        "primaryType": "Order",
        "domain": {"name": "Gnosis Protocol", "version": "v2", "chainId": 1, "verifyingContract": OTHER},
        "message": {
            "receiver": ADDRESS.to_lowercase(),
            "sellAmount": "1000",
            "partiallyFillable": false,
            "appData": format!("0x{}", "ab".repeat(32)),
            "hook": {"target": OTHER, "kind": "erc20"},
            "tags": ["a", "b"]
        }
    })
}

/// The order with a value at a JSON pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut order = order();
    *order.pointer_mut(pointer).unwrap() = value;
    order
}

fn parse(value: &Value) -> Result<TypedMessage, TypedDataError> {
    TypedMessage::parse(&value.to_string())
}

#[test]
fn the_digest_is_that_of_alloy() {
    let order = order();
    let message = parse(&order).unwrap();
    let expected: TypedData = serde_json::from_value(order).unwrap();
    assert_eq!(message.preimage().digest(), expected.eip712_signing_hash().unwrap());
    assert_eq!(message.preimage().bytes().len(), 66);
}

/// The example of EIP-712, whose digest is published.
#[test]
fn the_digest_is_that_of_the_standard() {
    let mail = json!({
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"}
            ],
            "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
            "Mail": [
                {"name": "from", "type": "Person"},
                {"name": "to", "type": "Person"},
                {"name": "contents", "type": "string"}
            ]
        },
        "primaryType": "Mail",
        "domain": {
            "name": "Ether Mail",
            "version": "1",
            "chainId": 1,
            "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"
        },
        "message": {
            "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
            "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
            "contents": "Hello, Bob!"
        }
    });
    let digest = parse(&mail).unwrap().preimage().digest().to_string();
    assert_eq!(
        digest,
        "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    );
}

#[test]
fn typed_data_fits_every_key_of_a_rule() {
    let rules = format!(
        "typed_data = [{{ chain = 1, contract = \"{OTHER}\", name = \"Gnosis Protocol\", version = \"v2\", primary_type = \"Order\", \
         fields = {{ receiver = [\"{ADDRESS}\"], sellAmount = [\"0x03e8\", \"5\"], partiallyFillable = [\"false\"], \
         appData = [\"0x{}\"], \"hook.kind\" = [\"erc20\"] }} }}]",
        "AB".repeat(32)
    );
    let grant = grant(&rules);
    let check = |value: &Value| grant.check_typed_data(&parse(value).unwrap());
    assert_eq!(check(&order()).unwrap().rule, "identity.m.keeper.typed_data[0]");
    for (pointer, value, reason) in [
        ("/domain/chainId", json!(100), "the domain's chainId is 100"),
        (
            "/domain/verifyingContract",
            json!(ADDRESS),
            "the domain's verifyingContract is 0x2c7536E3605D9C16a7a3D7b1898e529396a65c23",
        ),
        ("/domain/name", json!("CoW Protocol"), "the domain has another name"),
        ("/domain/version", json!("v1"), "the domain has another version"),
        (
            "/primaryType",
            json!("Hook"),
            "the rule does not name the primary type Hook",
        ),
        (
            "/message/receiver",
            json!(OTHER),
            "the field receiver has a value that the rule does not name",
        ),
        (
            "/message/sellAmount",
            json!(1001),
            "the field sellAmount has a value that the rule does not name",
        ),
        (
            "/message/hook/kind",
            json!("ERC20"),
            "the field hook.kind has a value that the rule does not name",
        ),
    ] {
        let mut changed = with(pointer, value);
        if pointer == "/primaryType" {
            changed["message"] = json!({"target": OTHER, "kind": "erc20"});
        }
        assert_eq!(check(&changed).unwrap_err().reason, reason);
    }
    // The type of a field decides how its value in the file is read.
    let mut text = with("/types/Order/0/type", json!("string"));
    text["message"]["receiver"] = json!(ADDRESS.to_lowercase());
    assert!(check(&text).is_err());
}

#[test]
fn a_field_that_is_absent_or_a_list_fits_no_rule() {
    for (field, reason) in [
        ("owner", "the message has no field owner"),
        ("hook.target.x", "the message has no field hook.target.x"),
        ("tags", "the field tags has a value that the rule does not name"),
        ("hook", "the field hook has a value that the rule does not name"),
    ] {
        let rule = format!(
            "typed_data = [{{ chain = 1, contract = \"{OTHER}\", primary_type = \"Order\", fields = {{ \"{field}\" = [\"a\"] }} }}]"
        );
        let refusal = grant(&rule).check_typed_data(&parse(&order()).unwrap()).unwrap_err();
        assert_eq!(refusal.reason, reason);
    }
}

#[test]
fn dangerous_types_need_chain_contract_and_type() {
    for kind in [
        "Permit",
        "PermitSingle",
        "PermitBatch",
        "PermitTransferFrom",
        "PermitBatchTransferFrom",
        "PermitWitnessTransferFrom",
        "PermitBatchWitnessTransferFrom",
        "DaiPermit",
        "TransferWithAuthorization",
        "ReceiveWithAuthorization",
        "Order",
        "OrderComponents",
        "BulkOrder",
        "Market:Order",
        "SafeTx",
        "SafeMessage",
        "Delegation",
        "ForwardRequest",
        "UserOperation",
        "PackedUserOperation",
    ] {
        let mut data = with("/primaryType", json!(kind));
        let fields = data["types"]["Order"].clone();
        data["types"][kind] = fields;
        let data = parse(&data).unwrap();
        let all = format!("chain = 1, contract = \"{OTHER}\", primary_type = \"{kind}\"");
        assert!(
            grant(&format!("typed_data = [{{ {all} }}]"))
                .check_typed_data(&data)
                .is_ok(),
            "{kind}"
        );
        for part in all.split(", ") {
            let rest: Vec<_> = all.split(", ").filter(|other| *other != part).collect();
            let rule = format!("typed_data = [{{ {} }}]", rest.join(", "));
            let refusal = grant(&rule).check_typed_data(&data).unwrap_err();
            let expected =
                format!("the primary type {kind} is allowed only by a rule with chain, contract and primary_type");
            assert_eq!(refusal.reason, expected);
            // The hint names all three.
            let hint = refusal.hint().unwrap();
            assert!(
                grant(hint.strip_prefix("write ").unwrap())
                    .check_typed_data(&data)
                    .is_ok(),
                "{hint}"
            );
        }
    }
    // Other types need one key of their own.
    let mut login = with("/primaryType", json!("Hook"));
    login["message"] = json!({"target": OTHER, "kind": "erc20"});
    let login = parse(&login).unwrap();
    assert!(
        grant("typed_data = [{ name = \"Gnosis Protocol\" }]")
            .check_typed_data(&login)
            .is_ok()
    );
    let refusal = grant("").check_typed_data(&login).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "no rule allows typed data of the type Hook (identity.m.keeper)"
    );
}

#[test]
fn what_programs_disagree_about_is_refused() {
    for (pointer, value, error) in [
        (
            "/primaryType",
            json!("EIP712Domain"),
            "a domain alone is not signed: primaryType is EIP712Domain",
        ),
        (
            "/primaryType",
            json!("Absent"),
            "types has no struct with the name of primaryType",
        ),
        (
            "/primaryType",
            json!("Order[]"),
            "types has no struct with the name of primaryType",
        ),
        ("/primaryType", json!(7), "primaryType is not a string"),
        ("/domain/salt", json!("0x00"), ""),
        (
            "/types/EIP712Domain",
            json!([]),
            "the type EIP712Domain and the domain have different keys, or the keys are in another order",
        ),
        (
            "/types/Order/0/name",
            json!("sellAmount"),
            "the type Order has two fields with one name",
        ),
        (
            "/types/Order/0/name",
            json!("receiver,uint256 x"),
            "a name or a type of a field of the type Order is not an identifier",
        ),
        (
            "/types/Order/0/name",
            json!(""),
            "a name or a type of a field of the type Order is not an identifier",
        ),
        (
            "/types/Order/0/type",
            json!("(address,address)"),
            "a name or a type of a field of the type Order is not an identifier",
        ),
        ("/types/Order/0/type", json!("Ghost"), "types has no struct Ghost"),
        (
            "/types/Order/0/type",
            json!("Order[]"),
            "the type Order contains itself",
        ),
        ("/types/Hook", json!("x"), "the type Hook is not a list of fields"),
        (
            "/message/receiver",
            json!("0x12"),
            "the message does not fit the type Order",
        ),
        (
            "/message/sellAmount",
            json!(1.5),
            "the message does not fit the type Order",
        ),
        (
            "/message/sellAmount",
            json!(-1),
            "the message does not fit the type Order",
        ),
        (
            "/message/appData",
            json!("0x12"),
            "the message does not fit the type Order",
        ),
        ("/message/hook", json!(null), "the message does not fit the type Order"),
        ("/message", json!([]), "message is missing or is not an object"),
        (
            "/domain/chainId",
            json!("one"),
            "the typed data has a type or a value of the domain that is not valid",
        ),
        ("", json!("{}"), "the typed data is not a JSON object"),
    ] {
        if pointer == "/domain/salt" {
            let mut salted = order();
            salted["domain"]["sault"] = value;
            let error = parse(&salted).unwrap_err().to_string();
            assert_eq!(
                error,
                "the domain has a key other than name, version, chainId, verifyingContract and salt"
            );
            continue;
        }
        assert_eq!(
            parse(&with(pointer, value.clone())).unwrap_err().to_string(),
            error,
            "{pointer} {value}"
        );
    }
    let mut named = order();
    named["types"]["uint256"] = json!([]);
    assert_eq!(
        parse(&named).unwrap_err().to_string(),
        "the name of a struct is not an identifier"
    );
    let mut more = order();
    more["chainId"] = json!(1);
    assert!(parse(&more).is_err());
    let error = TypedMessage::parse("{\n  oh").unwrap_err();
    assert_eq!(error, TypedDataError::NotJson { line: 2, column: 3 });
}

#[test]
fn hostile_typed_data_is_refused_at_once() {
    let types = |types: Value| json!({"types": types, "primaryType": "A", "domain": {}, "message": {}});
    let fields = |ty: &str, count: usize| -> Value {
        (0..count)
            .map(|index| json!({"name": format!("f{index}"), "type": ty}))
            .collect()
    };
    // Each struct has the next one twice: 2^30 fields.
    let mut doubled: serde_json::Map<String, Value> = (0..30)
        .map(|index| (format!("T{index}"), fields(&format!("T{}", index + 1), 2)))
        .collect();
    doubled.insert("T30".to_owned(), fields("uint8", 1));
    doubled.insert("A".to_owned(), fields("T0", 1));
    let brackets = "[]".repeat(5);
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    for (data, error) in [
        (types(Value::Object(doubled)), "primaryType has more than 1024 fields"),
        (
            types(json!({"A": fields("uint8", 129)})),
            "the type A has more than 128 fields",
        ),
        (
            types(json!({"A": fields(&format!("uint8{brackets}"), 1)})),
            "a field of the type A is an array of another form",
        ),
        (
            types(json!({"A": fields("uint8[99999]", 1)})),
            "a field of the type A is an array of another form",
        ),
        (
            types(json!({"A": fields("uint8[0]", 1)})),
            "a field of the type A is an array of another form",
        ),
        (
            types(json!({"A": fields("uint8[-1]", 1)})),
            "a field of the type A is an array of another form",
        ),
        (
            types(
                (0..65)
                    .map(|index| (format!("T{index}"), json!([])))
                    .collect::<serde_json::Map<_, _>>()
                    .into(),
            ),
            "there are more than 64 types",
        ),
        (
            types(json!({"A": fields(&"x".repeat(65), 1)})),
            "a name or a type of a field of the type A",
        ),
        (
            json!({
                "types": {"A": fields("uint8[]", 1)},
                "primaryType": "A",
                "domain": {},
                "message": {"f0": vec![0; VALUES_MAX]}
            }),
            "the message has more than 4096 values",
        ),
    ] {
        let found = parse(&data).unwrap_err().to_string();
        assert!(found.starts_with(error), "{found}");
    }
    let long: serde_json::Map<String, Value> = (0..40)
        .map(|index| (format!("T{index}"), fields("aVeryLongNameOfAType", 10)))
        .collect();
    assert_eq!(
        parse(&types(long.into())).unwrap_err().to_string(),
        "the types have more than 8192 bytes"
    );
    assert!(matches!(
        TypedMessage::parse(&deep),
        Err(TypedDataError::NotJson { .. })
    ));
    let long = " ".repeat(TYPED_DATA_BYTES_MAX + 1);
    assert_eq!(TypedMessage::parse(&long).unwrap_err(), TypedDataError::TooLong);
}
