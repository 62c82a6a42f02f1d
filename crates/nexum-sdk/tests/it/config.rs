use nexum_sdk::{Address, ErrorKind, U256, config};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Fast,
    Slow,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Point {
    x: i8,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Settings {
    token: Address,
    #[serde(default)]
    least: U256,
    count: u8,
    ratio: Option<f64>,
    mode: Option<Mode>,
    #[serde(default)]
    owners: Vec<Address>,
    #[serde(default)]
    verbose: bool,
    name: Option<String>,
    range: Option<(u8, u8)>,
    point: Option<Point>,
}

const TOKEN: (&str, &str) = ("token", "0x00000000000000000000000000000000000000aa");

fn read(pairs: &[(&str, &str)]) -> nexum_sdk::Result<Settings> {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect();
    config::read(&pairs)
}

#[test]
fn reads_each_value_as_its_field_asks() {
    let settings = read(&[
        TOKEN,
        ("least", "1000000000000000000000"),
        ("count", " 7 "),
        ("ratio", "0.5"),
        ("mode", "slow"),
        (
            "owners",
            "0x0000000000000000000000000000000000000001, 0x0000000000000000000000000000000000000002",
        ),
        ("verbose", "true"),
        ("name", " as written "),
        ("range", "1,2"),
        ("point", r#"{"x": -3}"#),
    ]);
    let expected = Settings {
        token: Address::with_last_byte(0xaa),
        least: U256::from(10).pow(U256::from(21)),
        count: 7,
        ratio: Some(0.5),
        mode: Some(Mode::Slow),
        owners: vec![Address::with_last_byte(1), Address::with_last_byte(2)],
        verbose: true,
        name: Some(" as written ".into()),
        range: Some((1, 2)),
        point: Some(Point { x: -3 }),
    };
    assert_eq!(settings.expect("all fit"), expected);
}

#[test]
fn reads_lists_in_both_notations() {
    let owners = |text| read(&[TOKEN, ("count", "1"), ("owners", text)]).expect("a list").owners;
    assert!(owners("").is_empty());
    let one = "0x0000000000000000000000000000000000000001";
    assert_eq!(owners(one), [Address::with_last_byte(1)]);
    assert_eq!(owners(&format!("[\"{one}\"]")), [Address::with_last_byte(1)]);
}

/// As nexum writes them: docs/configuration.md.
#[test]
fn reads_the_tables_and_arrays_of_nexum() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Limits {
        hot: u64,
        label: Option<String>,
        #[serde(default)]
        near: Vec<Point>,
        #[serde(default, rename = "a key")]
        more: std::collections::BTreeMap<String, String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Nested {
        limits: Limits,
        #[serde(default)]
        route: Vec<Point>,
    }

    let read = |limits: &str, route: &str| {
        let pairs = [("limits", limits), ("route", route)].map(|(key, text)| (key.to_owned(), text.to_owned()));
        config::read::<Nested>(&pairs)
    };
    let toml = r#"{ hot = 3, label = "x = \"1\"", near = [{ x = -1 }], "a key" = { y-z = "b\n" } }"#;
    let limits = Limits {
        hot: 3,
        label: Some("x = \"1\"".into()),
        near: vec![Point { x: -1 }],
        more: [("y-z".into(), "b\n".into())].into(),
    };
    let route = vec![Point { x: 1 }, Point { x: 2 }];
    assert_eq!(read(toml, "[{ x = 1 }, { x = 2 }]"), Ok(Nested { limits, route }));
    let json = read(r#"{"hot": 4}"#, "[]").expect("JSON");
    assert_eq!(json.limits.hot, 4);
    let error = read("{ hot = -1 }", "[]").expect_err("a negative number");
    assert_eq!(
        error.message(),
        "config: limits: invalid value: integer `-1`, expected u64"
    );
}

#[test]
fn errors_name_the_key() {
    for (pairs, message) in [
        (&[("count", "1")][..], "token is missing"),
        (&[TOKEN, ("count", "x")], "count: \"x\" is not a u8"),
        (&[TOKEN, ("count", "300")], "count: \"300\" is not a u8"),
        (
            &[TOKEN, ("count", "1"), ("verbose", "yes")],
            "verbose: \"yes\" is not a bool",
        ),
        (
            &[TOKEN, ("count", "1"), ("mode", "quick")],
            "mode: \"quick\" is none of fast, slow",
        ),
        (
            &[("token", "0x12"), ("count", "1")],
            "token: \"0x12\": invalid string length; expected 20 bytes, represented as a hex string of length 40, \
             an array of u8, or raw bytes",
        ),
        (
            &[TOKEN, ("count", "1"), ("owners", "0x12")],
            "owners: \"0x12\": invalid string length; expected 20 bytes, represented as a hex string of length 40, \
             an array of u8, or raw bytes",
        ),
        (&[TOKEN, ("count", "1"), ("point", "{}")], "point: missing field `x`"),
        (
            &[TOKEN, ("counts", "1")],
            "counts is unknown; known are token, least, count, ratio, mode, owners, verbose, name, range, point",
        ),
    ] {
        let error = read(pairs).expect_err(message);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{message}");
        assert_eq!(error.message(), format!("config: {message}"));
    }
}

#[test]
fn a_module_without_settings_has_no_keys() {
    assert_eq!(config::refuse(&[]), Ok(()));
    let error = config::refuse(&[("a".into(), "1".into())]).expect_err("unknown");
    assert_eq!(error.message(), "config: a is unknown; the module has no settings");
}

proptest! {
    #[test]
    fn numbers_come_back(count: u8, least: [u8; 32]) {
        let least = U256::from_be_bytes(least);
        let settings = read(&[TOKEN, ("count", &count.to_string()), ("least", &least.to_string())]).unwrap();
        prop_assert_eq!((settings.count, settings.least), (count, least));
        let hex = read(&[TOKEN, ("count", "1"), ("least", &format!("{least:#x}"))]).unwrap();
        prop_assert_eq!(hex.least, least);
    }

    #[test]
    fn no_text_makes_the_reader_panic(key: String, value: String) {
        for key in [&key[..], "token", "count", "owners", "point", "range", "mode"] {
            let _ = read(&[TOKEN, ("count", "1"), (key, &value)]);
        }
    }
}
