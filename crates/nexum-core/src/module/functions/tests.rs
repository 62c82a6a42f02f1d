use proptest::prelude::*;
use serde_json::json;

use super::list::FUNCTIONS_MAX;
use super::parse::parse;
use super::value_type::Path;
use super::*;
use crate::bindings::functions::nexum::functions::types as wit;

fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[a-z][a-z0-9]{0,3}(-[a-z][a-z0-9]{0,3})?", 1..4)
        .prop_map(|names| names.into_iter().collect())
}

/// A type, and a value of it in its complete form.
fn typed() -> impl Strategy<Value = (ValueType, Value)> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(|value| (ValueType::Bool, json!(value))),
        any::<char>().prop_map(|value| (ValueType::Char, json!(value))),
        ".{0,8}".prop_map(|value| (ValueType::String, json!(value))),
        any::<u8>().prop_map(|value| (ValueType::Unsigned(8), json!(value))),
        any::<u64>().prop_map(|value| (ValueType::Unsigned(64), json!(value))),
        any::<i16>().prop_map(|value| (ValueType::Signed(16), json!(value))),
        any::<i64>().prop_map(|value| (ValueType::Signed(64), json!(value))),
        (-1.0e9..1.0e9_f64).prop_map(|value| (ValueType::Float(64), json!(value))),
        names().prop_map(|names| {
            let value = json!(names[0]);
            (ValueType::Enum(names), value)
        }),
        names().prop_map(|names| {
            let value = json!(names[..names.len() - 1]);
            (ValueType::Flags(names), value)
        }),
    ];
    scalar.prop_recursive(4, 24, 3, |inner| {
        let members = (names(), prop::collection::vec(inner.clone(), 4));
        let members = members
            .prop_map(|(names, inner)| names.into_iter().zip(inner).collect::<Vec<_>>())
            .boxed();
        prop_oneof![
            (inner.clone(), 0..3_usize).prop_map(|((inner, value), count)| {
                (ValueType::List(Box::new(inner)), Value::Array(vec![value; count]))
            }),
            (inner.clone(), any::<bool>()).prop_map(|((inner, value), is_some)| match inner {
                option @ ValueType::Option(_) => (option, value),
                inner => (
                    ValueType::Option(Box::new(inner)),
                    if is_some { value } else { Value::Null }
                ),
            }),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|inner| {
                let (types, values) = inner.into_iter().unzip();
                (ValueType::Tuple(types), Value::Array(values))
            }),
            (inner.clone(), any::<bool>()).prop_map(|((inner, value), is_ok)| {
                let inner = Some(Box::new(inner));
                match is_ok {
                    true => (ValueType::Result(inner, None), json!({ "ok": value })),
                    false => (ValueType::Result(None, inner), json!({ "err": value })),
                }
            }),
            members.clone().prop_map(|members| {
                let value = members
                    .iter()
                    .map(|(name, (_, value))| (name.clone(), value.clone()))
                    .collect();
                let types = members.into_iter().map(|(name, (value_type, _))| (name, value_type));
                (ValueType::Record(types.collect()), Value::Object(value))
            }),
            (members, any::<bool>()).prop_map(|(members, is_typed)| {
                let (name, (_, value)) = members[0].clone();
                let value = if is_typed { json!({ name: value }) } else { json!(name) };
                let typed = |(index, (name, (value_type, _)))| (name, (index > 0 || is_typed).then_some(value_type));
                (
                    ValueType::Variant(members.into_iter().enumerate().map(typed).collect()),
                    value,
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_type_is_parsed_from_its_own_text((value_type, _) in typed()) {
        prop_assert_eq!(parse(&value_type.to_string()), Ok(value_type));
    }

    #[test]
    fn a_value_of_its_type_is_complete((value_type, value) in typed()) {
        prop_assert_eq!(value_type.complete(value.clone(), &mut Path::root()), Ok(value));
    }

    #[test]
    fn any_text_is_a_type_or_an_error(text in "[a-z0-9<>{}(),:_% -]{0,40}") {
        if let Ok(parsed) = parse(&text) {
            prop_assert_eq!(parse(&parsed.to_string()), Ok(parsed));
        }
    }

    #[test]
    fn a_value_of_any_type_ends_in_a_complete_value_or_a_path((expected, _) in typed(), (_, value) in typed()) {
        match expected.complete(value, &mut Path::root()) {
            Ok(complete) => prop_assert_eq!(expected.complete(complete.clone(), &mut Path::root()), Ok(complete)),
            Err(mismatch) => prop_assert!(mismatch.path.starts_with('$'), "{}", mismatch),
        }
    }
}

#[test]
fn a_type_that_is_not_one_is_refused_at_its_place() {
    for (text, problem) in [
        ("", "expected a type at byte 0"),
        ("u128", "expected a type at byte 0"),
        ("address", "expected a type at byte 0"),
        ("list", "expected `<` at byte 4"),
        ("list<u8", "expected `>` at byte 7"),
        ("list<u8>>", "expected the end of the type at byte 8"),
        ("tuple<>", "expected a type at byte 6"),
        ("result<_>", "expected `,` at byte 8"),
        (
            "record {}",
            "expected a name of lower-case words with `-` between them at byte 8",
        ),
        (
            "record { A: u8 }",
            "expected a name of lower-case words with `-` between them at byte 9",
        ),
        ("record { a: u8, a: u8 }", "the name `a` is there twice"),
        ("enum { a b }", "expected `,` or `}` at byte 9"),
        ("variant { a(u8 }", "expected `)` at byte 15"),
        ("option<option<u8>>", "an option in an option has no form in JSON"),
        ("ü", "expected a type at byte 0"),
    ] {
        assert_eq!(parse(text), Err(problem.to_owned()), "{text}");
    }
    let nested = |depth: usize| format!("{}u8{}", "list<".repeat(depth - 1), ">".repeat(depth - 1));
    assert!(parse(&nested(16)).is_ok());
    assert_eq!(parse(&nested(17)), Err("the type nests more than 16 types".to_owned()));
}

fn described(name: &str, parameters: &[(&str, &str)], result: Option<&str>) -> wit::Function {
    wit::Function {
        name: name.to_owned(),
        parameters: parameters
            .iter()
            .map(|(name, text)| wit::Parameter {
                name: (*name).to_owned(),
                type_: (*text).to_owned(),
            })
            .collect(),
        result: result.map(str::to_owned),
        comment: String::new(),
        writeable: false,
    }
}

fn transfer() -> Function {
    let parameters = [
        ("to", "string"),
        (
            "amounts",
            "list<record { amount: u64, unit: option<enum { wei, gwei }> }>",
        ),
        ("note", "option<string>"),
    ];
    let list = Functions::of(vec![described("transfer", &parameters, Some("tuple<bool, s8>"))]);
    list.expect("a list").get("transfer").expect("a function").clone()
}

#[test]
fn arguments_come_by_name_or_by_position() {
    let function = transfer();
    let expected = json!({ "to": "a", "amounts": [{ "amount": 5, "unit": null }], "note": null });
    for given in [
        json!({ "to": "a", "amounts": [{ "amount": 5 }] }),
        json!({ "to": "a", "amounts": [{ "amount": 5, "unit": null }], "note": null }),
        json!(["a", [{ "amount": 5 }]]),
        json!(["a", [{ "amount": 5 }], null]),
    ] {
        let read = function.arguments(given.to_string().as_bytes()).expect("arguments");
        assert_eq!(serde_json::from_str::<Value>(&read).expect("JSON"), expected, "{given}");
    }
    let none = Functions::of(vec![described("f", &[("note", "option<u8>")], None)]).expect("a list");
    for empty in ["", " \n", "{}", "[]"] {
        let read = none.get("f").expect("a function").arguments(empty.as_bytes());
        assert_eq!(read.as_deref(), Ok(r#"{"note":null}"#), "{empty}");
    }
    assert_eq!(
        function.to_string(),
        "transfer: func(to: string, amounts: list<record { amount: u64, unit: option<enum { wei, gwei }> }>, \
         note: option<string>) -> tuple<bool, s8>"
    );
}

#[test]
fn an_argument_that_does_not_fit_is_named_by_its_path() {
    let function = transfer();
    for (given, expected) in [
        ("5", "$: expected an object or an array with the arguments"),
        ("{", "$: not JSON: EOF while parsing an object at line 1 column 1"),
        ("{}", "$: the parameter `to` is missing"),
        ("[\"a\"]", "$: the parameter `amounts` is missing"),
        (
            "[\"a\", [], null, 1]",
            "$: 4 arguments, and the function has 3 parameters",
        ),
        ("[7, []]", "$.to: expected string, found the number 7"),
        (
            "{\"to\": \"a\", \"amounts\": [], \"nots\": \"\"}",
            "$: there is no parameter `nots`: the parameters are to, amounts, note",
        ),
        (
            "[\"a\", [{\"amount\": 1}, {\"amount\": -1}]]",
            "$.amounts[1].amount: expected u64, found the number -1",
        ),
        (
            "[\"a\", [{\"amount\": 1.5}]]",
            "$.amounts[0].amount: expected u64, found the number 1.5",
        ),
        (
            "[\"a\", [{\"amount\": 1, \"unit\": \"eth\"}]]",
            "$.amounts[0].unit: expected enum { wei, gwei }, found the string `eth`",
        ),
        (
            "[\"a\", [{\"amount\": 1, \"x\\u001b\": 1}]]",
            "$.amounts[0]: there is no field `x\\u{1b}`: the fields are amount, unit",
        ),
    ] {
        let mismatch = function.arguments(given.as_bytes()).expect_err(given);
        assert_eq!(mismatch.to_string(), expected, "{given}");
    }
    assert_eq!(function.result("[true, -128]").as_deref(), Ok("[true,-128]"));
    for (given, expected) in [
        ("[true, -129]", "$[1]: expected s8, found the number -129"),
        ("[true]", "$: expected an array of 2 values, found an array of 1 values"),
        ("yes", "$: not JSON: expected value at line 1 column 1"),
    ] {
        assert_eq!(
            function.result(given),
            Err(ResultError::Mismatch(Mismatch {
                path: expected.split_once(": ").expect("a path").0.to_owned(),
                problem: expected.split_once(": ").expect("a path").1.to_owned(),
            }))
        );
    }
    let nothing = Functions::of(vec![described("f", &[], None)]).expect("a list");
    let nothing = nothing.get("f").expect("a function");
    assert_eq!(nothing.result("null").as_deref(), Ok("null"));
    assert!(matches!(nothing.result("0"), Err(ResultError::Mismatch(_))));
    let long = " ".repeat(RESULT_BYTES_MAX);
    assert_eq!(
        nothing.result(&format!("{long}null")),
        Err(ResultError::TooLarge {
            bytes: RESULT_BYTES_MAX + 4
        })
    );
}

#[test]
fn the_bits_of_a_number_are_its_range() {
    for (text, inside, outside) in [
        ("u8", "255", "256"),
        ("u16", "65535", "65536"),
        ("u32", "4294967295", "4294967296"),
        ("u64", "18446744073709551615", "18446744073709551616"),
        ("s8", "-128", "-129"),
        ("s16", "32767", "32768"),
        ("s32", "-2147483648", "-2147483649"),
        ("s64", "9223372036854775807", "9223372036854775808"),
        ("f32", "3.4e38", "3.5e38"),
        ("char", "\"ü\"", "\"ab\""),
    ] {
        let value_type = parse(text).expect(text);
        for (json, fits) in [(inside, true), (outside, false)] {
            let value = serde_json::from_str(json).expect(json);
            let complete = value_type.complete(value, &mut Path::root());
            assert_eq!(complete.is_ok(), fits, "{text} {json}: {complete:?}");
        }
    }
}

#[test]
fn a_hostile_list_is_refused_with_the_reason() {
    let long = "a".repeat(65);
    let commented = wit::Function {
        comment: "c".repeat(2_049),
        ..described("f", &[], None)
    };
    let many = vec![("p", "u8"); 33];
    for (function, problem) in [
        (
            described("", &[], None),
            "but the name `` is not up to 64 bytes of lower-case words with `-` between them",
        ),
        (
            described("a\u{1b}", &[], None),
            "the name `a\\u{1b}` is not up to 64 bytes",
        ),
        (described(&long, &[], None), "is not up to 64 bytes"),
        (commented, "the comment has 2049 bytes, more than the limit of 2048"),
        (
            described("f", &many, None),
            "it has 33 parameters, more than the limit of 32",
        ),
        (
            described("f", &[("Bad", "u8")], None),
            "the parameter's name `Bad` is not up to",
        ),
        (
            described("f", &[("a", "u8"), ("a", "u8")], None),
            "two parameters are called `a`",
        ),
        (
            described("f", &[("a", "u9")], None),
            "the type of the parameter `a`, `u9`, is not valid: expected a type at byte 0",
        ),
        (
            described("f", &[], Some(&"x".repeat(1_025))),
            "the type of the result has 1025 bytes, more than the limit of 1024",
        ),
    ] {
        let refused = Functions::of(vec![function]).expect_err(problem).to_string();
        assert!(refused.contains(problem), "{refused}");
    }
    let twice = Functions::of(vec![described("f", &[], None), described("f", &[], None)]);
    assert_eq!(
        twice.expect_err("a refusal").to_string(),
        "`list-functions` returned the function `f`, but another function has this name"
    );
    let named = |index: usize| described(&format!("f{index}"), &[], None);
    assert!(Functions::of((0..FUNCTIONS_MAX).map(named).collect()).is_ok());
    assert_eq!(
        Functions::of((0..=FUNCTIONS_MAX).map(named).collect())
            .expect_err("a refusal")
            .to_string(),
        "`list-functions` returned 257 functions, more than the limit of 256"
    );
}
