//! Documents: positions, secrets in values, variables, hostile input.

use std::fmt::Write as _;
use std::path::Path;

use nexum_config::document::{
    ConfigErrors, DEPTH_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_ITEMS_MAX, Document, ERRORS_MAX, Environment,
};
use nexum_config::hint::Hint;
use nexum_config::limits::Limit;
use proptest::prelude::*;
use serde::Deserialize;

/// A different bound for each limit.
pub(crate) fn a_bound(limit: Limit) -> u64 {
    let least = if limit == Limit::Memory { 65_536 } else { 1 };
    least + Limit::all().position(|one| one == limit).unwrap() as u64
}

/// Every key of a table of limits, with its bound.
pub(crate) fn limit_keys(prefix: &str) -> String {
    Limit::all()
        .map(|limit| format!("{prefix}{} = {}\n", limit.name(), a_bound(limit)))
        .collect()
}

/// The report that an operator reads: the name and the errors of each case.
pub(crate) fn report<T>(cases: impl IntoIterator<Item = (String, Result<T, ConfigErrors>)>) -> String {
    let mut report = String::new();
    for (name, result) in cases {
        writeln!(report, "# {name}").unwrap();
        match result {
            Ok(_) => writeln!(report, "accepted").unwrap(),
            Err(errors) => {
                for error in &errors {
                    writeln!(report, "{error}").unwrap();
                    if let Some(hint) = error.hint() {
                        writeln!(report, "  hint: {hint}").unwrap();
                    }
                }
            }
        }
        writeln!(report).unwrap();
    }
    report
}

/// A section of a host crate.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sample {
    text: String,
    number: u32,
    signed: i64,
    ratio: f64,
    flag: bool,
    list: Vec<u8>,
    urls: Vec<String>,
    mode: Mode,
    optional: Option<String>,
    nested: Nested,
    digest: Option<nexum_config::names::Digest>,
    address: Option<std::net::IpAddr>,
    chatty: Option<Chatty>,
    rpc_url: Option<u8>,
    private_key: Option<u8>,
}

/// A section with many tables.
#[derive(Deserialize)]
struct Many {
    #[serde(rename = "many")]
    _many: Vec<Nested>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    Pretty,
    JsonLines,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Nested {
    required: u8,
}

/// A type whose error repeats the value, as a careless implementation does.
#[derive(Debug)]
struct Chatty;

impl<'de> Deserialize<'de> for Chatty {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Err(serde::de::Error::custom(format_args!(
            "cannot use {text}\nhint: not {text}"
        )))
    }
}

/// The operator's environment. No error may contain its values.
fn environment() -> Environment {
    Environment::from_pairs([
        ("SECRET", "hunter2"),
        ("URL", "https://host/hunter2"),
        ("EMPTY", ""),
        ("NUMBER", "12"),
    ])
}

fn sample(text: &str) -> Result<Sample, ConfigErrors> {
    let document = Document::parse(Path::new("engine.toml"), text.as_bytes(), &environment())?;
    let mut errors = Vec::new();
    let sample = document.root().parse_all::<Sample>(&mut errors);
    ConfigErrors::check(errors)?;
    Ok(sample.unwrap())
}

fn check(texts: &[&str]) -> String {
    report(texts.iter().map(|text| (text.replace('\n', "⏎"), sample(text))))
}

#[test]
fn an_error_names_place_key_and_value() {
    let report = check(&[
        "txt = 1",
        "a-key-like-no-other = 1",
        "\"key with \\u001b[31m\" = 1",
        "text = 1",
        "text = 1979-05-27",
        "text = [1]",
        "text = { a = 1 }",
        "number = \"many\"",
        "number = -1",
        "number = 4_294_967_296",
        "number = 340282366920938463463374607431768211456",
        "number = 1.5",
        "flag = \"yes\"",
        "list = [1, 2, 300]",
        "list = 1",
        "list = \"text\"",
        "mode = \"json-line\"",
        "mode = 1",
        "optional = 5",
        "ratio = \"half\"",
        "signed = 9223372036854775808",
        "nested = 1",
        "[nested]\nrequird = 1",
        "nested.required = \"x\"",
        "[[nested]]",
        "digest = \"sha256:12\"",
        "digest = \"sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855\"",
        "one = 1\n\n  two = 2\ntext = 3",
    ]);
    insta::assert_snapshot!(report);
}

#[test]
fn syntax_errors_have_their_place() {
    let report = check(&[
        "text = ",
        "text",
        "[text",
        "text = \"open",
        "text = 'x'\ntext = 'y'",
        "[a]\nb = 1\n[a]\nc = 1",
        "text = \"\\q\"",
        "näme = 1",
        "text = \"a\" number = 1",
    ]);
    insta::assert_snapshot!(report);
}

#[test]
fn a_bad_reference_is_an_error_that_shows_no_content() {
    let report = check(&[
        "text = \"${MISSING}\"",
        "text = \"${MISSING:-}\"",
        "text = \"${\"",
        "text = \"${SECRET\"",
        "text = \"${}\"",
        "text = \"${ SECRET }\"",
        "text = \"${1SECRET}\"",
        "text = \"${SECRET:default}\"",
        "text = \"$SECRET\"",
        "text = \"$${SECRET}\"",
        "number = \"${NUMBER}\"",
        "urls = [\"ok\", \"${MISSING}\"]",
    ]);
    insta::assert_snapshot!(report);
}

#[test]
fn a_value_is_shown_without_secrets() {
    let report = check(&[
        "number = \"${SECRET}\"",
        "number = \"before ${SECRET} after\"",
        "mode = \"${SECRET}\"",
        "address = \"${SECRET}\"",
        "digest = \"${SECRET}\"",
        "chatty = \"${SECRET}\"",
        "chatty = \"${EMPTY}\"",
        "chatty = \"open\"",
        "number = \"https://user:hunter2@host/path\"",
        "number = \"https://host/hunter2\"",
        "number = \"https://host?key=hunter2\"",
        "number = \"https://host:8545\"",
        "number = \"https://host\"",
        "number = \"https://us/er:hunter2@host/path\"",
        "number = \"https://hunter2 hunter2/\"",
        "number = \"${URL:-https://host/hunter2}\"",
        "number = \"see hunter2 at https://host/hunter2\"",
        "number = \"0123456789 0123456789 0123456789 0123456789 hunter2\"",
        "rpc_url = \"host/hunter2\"",
        "rpc_url = \"${URL}\"",
        "private_key = \"hunter2\"",
        "private_key = 'hunter2'",
    ]);
    assert!(
        !report
            .lines()
            .filter(|line| !line.starts_with('#'))
            .any(|line| line.contains("hunter2")),
        "{report}"
    );
    insta::assert_snapshot!(report);
}

#[test]
fn debug_shows_no_content_of_the_environment() {
    let document = Document::parse(Path::new("a.toml"), b"[t]\na = \"${SECRET}\"", &environment()).unwrap();
    let section = document.root().section("t").unwrap().unwrap();
    let shown = format!(
        "{document:?} {section:?} {:?} {:?}",
        section.error("a", "bad"),
        environment()
    );
    insta::assert_snapshot!(
        shown,
        @r#"Document(a.toml) Section(a.toml:1:1 t) ConfigError(a.toml:2:5: t.a: bad, found "${SECRET}") Environment::Pairs(..)"#
    );
}

#[test]
fn a_reference_is_replaced_in_a_string() {
    for (text, expected) in [
        ("${SECRET}", "hunter2"),
        ("a${SECRET}b${NUMBER}c", "ahunter2b12c"),
        ("${MISSING:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${SECRET:-default}", "hunter2"),
        ("${MISSING:-}", ""),
        ("${EMPTY}", ""),
        ("${MISSING:-a:-b}", "a:-b"),
        ("$${SECRET}", "${SECRET}"),
        ("$$${SECRET}", "$${SECRET}"),
        ("$${${SECRET}}", "${hunter2}"),
        ("$ $$ $} }", "$ $$ $} }"),
    ] {
        assert_eq!(sample(&format!("text = '{text}'")).unwrap().text, expected, "{text}");
    }
}

#[test]
fn a_file_that_is_no_document_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("large.toml"), vec![b'#'; 10 << 20]).unwrap();
    std::fs::write(path("latin1.toml"), b"# one\ntext = \"caf\xe9\"").unwrap();
    std::fs::write(path("binary.toml"), b"\0asm\x0d\0\x01\0").unwrap();
    std::fs::create_dir(path("directory.toml")).unwrap();
    let files = [
        "large.toml",
        "latin1.toml",
        "binary.toml",
        "directory.toml",
        "missing.toml",
    ];
    let report = report(files.map(|file| (file.to_owned(), Document::load(&path(file), &environment()))));
    insta::with_settings!({filters => vec![(directory.path().to_str().unwrap(), "[directory]")]}, {
        insta::assert_snapshot!(report);
    });
    assert!(
        Document::load(&path("missing.toml"), &environment())
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        !Document::load(&path("large.toml"), &environment())
            .unwrap_err()
            .is_not_found()
    );
}

#[test]
fn a_byte_order_mark_is_accepted() {
    assert_eq!(sample("\u{feff}text = \"x\"").unwrap().text, "x");
}

#[test]
fn deep_nesting_is_refused_and_overflows_no_stack() {
    let keys = |parts: usize| vec!["a"; parts].join(".");
    let deep = [
        format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("a = {}", "[".repeat(100_000)),
        format!("{}1{}", "a = {".repeat(100_000), "}".repeat(100_000)),
        "a = { a = [".repeat(100_000),
        format!("{} = 1", keys(100_000)),
        format!("[{}]", keys(100_000)),
        format!("[[{}]]", keys(100_000)),
        format!("[{0}]\n{0} = 1", keys(79)),
        // The parser accepts each part of this text. The tree would have 6,000 levels.
        format!("a = {}1{}", format!("{{ {} = ", keys(79)).repeat(79), "}".repeat(79)),
        format!("a = {}1{}", format!("[{{ {} = ", keys(79)).repeat(39), "}]".repeat(39)),
        // The parser itself drops this tree, because the key occurs twice.
        format!(
            "a = 1\na = {}1{}",
            format!("{{ {} = ", keys(79)).repeat(79),
            "}".repeat(79)
        ),
    ];
    // Less than any thread of nexum has.
    let thread = std::thread::Builder::new().stack_size(512 << 10);
    let run = thread.spawn(move || {
        for text in deep {
            let errors = Document::parse(Path::new("deep.toml"), text.as_bytes(), &environment()).unwrap_err();
            let messages: Vec<_> = errors.iter().map(|error| error.message()).collect();
            assert_eq!(
                messages,
                [format!("nested deeper than {DEPTH_MAX} levels")],
                "{}",
                &text[..40]
            );
        }
    });
    run.unwrap().join().unwrap();
}

#[test]
fn nesting_up_to_the_bound_is_accepted() {
    let depth = DEPTH_MAX as usize - 1;
    for text in [
        format!("a = {}{}", "[".repeat(depth), "]".repeat(depth)),
        format!("{} = 1", vec!["a"; depth].join(".")),
        // Keys side by side are not nested.
        "[a.b.c]\nd.e = [1, [2], { f = 3, g = 4 }]\n".to_owned() + &"[[x.y]]\nz = { k = 1 }\n".repeat(200),
    ] {
        Document::parse(Path::new("flat.toml"), text.as_bytes(), &environment()).unwrap();
    }
}

#[test]
fn the_largest_document_is_accepted_and_one_byte_more_is_not() {
    let bytes = vec![b'\n'; DOCUMENT_BYTES_MAX as usize + 1];
    assert!(Document::parse(Path::new("a"), &bytes[1..], &environment()).is_ok());
    assert!(Document::parse(Path::new("a"), &bytes, &environment()).is_err());
}

#[test]
fn errors_beyond_the_bound_are_counted() {
    let elements = vec!["300"; 10 * ERRORS_MAX].join(",");
    let errors = sample(&format!("list = [{elements}]")).unwrap_err();
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), ERRORS_MAX + 1);
    let expected = "engine.toml:1:9: list[0]: expected a whole number from 0 to 255, found 300";
    assert_eq!(
        (texts[0].as_str(), texts[ERRORS_MAX].as_str()),
        (expected, "engine.toml: and at least 1 more error")
    );
    let tables: String = (0..10 * ERRORS_MAX).map(|_| "[[many]]\nkey = 1\n".to_owned()).collect();
    let document = Document::parse(Path::new("a"), tables.as_bytes(), &environment()).unwrap();
    let mut errors = Vec::new();
    document.root().parse_all::<Many>(&mut errors);
    assert_eq!(ConfigErrors::check(errors).unwrap_err().iter().count(), ERRORS_MAX + 1);
    // The counts of several readers of one file add up.
    let too_many = |from: usize| {
        let errors = (from..from + ERRORS_MAX + 2).map(|_| document.root().error("many", "bad"));
        ConfigErrors::check(errors.collect()).unwrap_err()
    };
    let both = too_many(0).into_iter().chain(too_many(1)).collect();
    let both: Vec<_> = ConfigErrors::check(both).unwrap_err().into_iter().collect();
    let last = format!("a: and at least {} more errors", ERRORS_MAX + 4);
    assert_eq!((both.len(), both[ERRORS_MAX].to_string()), (ERRORS_MAX + 1, last));
}

#[test]
fn every_faulty_value_of_a_table_is_reported_once() {
    let report = check(&[
        "text = 1\nnumber = -1\nsigned = true\nlist = [1, 300, 'x', 2]\nmode = 'json'\nother = 1",
        "[nested]\nrequird = 1\nrequired = 'x'\n[unknown]\n",
        "urls = ['${MISSING}', 1, 'ok', '${SECRET']\nchatty = '${SECRET}'\ntext = 2",
    ]);
    insta::assert_snapshot!(report);
}

/// A table with a required key, in a list of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    #[serde(rename = "needed")]
    _needed: u8,
    #[serde(rename = "other")]
    _other: Option<u8>,
}

#[derive(Debug, Deserialize)]
struct Stricts {
    #[serde(rename = "strict")]
    _strict: Vec<Strict>,
}

#[test]
fn a_fault_that_follows_from_another_one_is_not_reported() {
    let text = "[[strict]]\nneeded = 'x'\nother = 'y'\n[[strict]]\nother = 'z'\n[[strict]]\nneeded = 1\nmore = 1\n";
    let document = Document::parse(Path::new("a"), text.as_bytes(), &environment()).unwrap();
    let mut errors = Vec::new();
    let read = document.root().parse_all::<Stricts>(&mut errors);
    assert!(read.is_some(), "the third table is valid without the unknown key");
    let errors = ConfigErrors::check(errors).unwrap_err().to_string();
    insta::assert_snapshot!(errors, @r#"
    a:2:10: strict[0].needed: expected a whole number from 0 to 255, found "x"
    a:3:9: strict[0].other: expected a whole number from 0 to 255, found "y"
    a:4:1: strict[1].needed: missing key
    a:5:9: strict[1].other: expected a whole number from 0 to 255, found "z"
    a:8:1: strict[2].more: unknown key
    "#);
}

#[test]
fn the_unknown_keys_after_the_first_ten_are_counted() {
    let lines = |count: usize| (1..=count).map(|index| format!("key{index} = 1\n")).collect::<String>();
    let messages = |text: &str| {
        let errors = sample(text).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let unknown = |table: &str, line: usize, key: usize| format!("engine.toml:{line}:1: {table}key{key}: unknown key");
    let ten = |table: &str, from: usize| (1..=10).map(|key| unknown(table, from + key, key)).collect::<Vec<_>>();
    assert_eq!(messages(&lines(10)), ten("", 0));
    let mut expected = ten("", 0);
    expected.push("engine.toml:11:1: and 89990 more unknown keys".to_owned());
    assert_eq!(messages(&lines(90_000)), expected);
    let mut expected = ten("nested.", 1);
    expected.push("engine.toml:12:1: nested: and 1 more unknown keys".to_owned());
    assert_eq!(messages(&format!("[nested]\n{}", lines(11))), expected);
}

#[test]
fn the_number_of_keys_and_values_has_a_bound() {
    let parse = |text: &str| Document::parse(Path::new("a"), text.as_bytes(), &environment());
    let keys = |count: usize| (0..count).map(|index| format!("k{index}=1\n")).collect::<String>();
    let tables = |count: usize| (0..count).map(|index| format!("[t{index}]\n")).collect::<String>();
    let elements = |count: usize| format!("a=[{}]\n", vec!["1"; count - 1].join(","));
    let at_bound = [
        keys(DOCUMENT_ITEMS_MAX / 2),
        tables(DOCUMENT_ITEMS_MAX),
        elements(DOCUMENT_ITEMS_MAX),
        "[[x]]\n".repeat(DOCUMENT_ITEMS_MAX),
    ];
    for text in at_bound {
        parse(&text).unwrap();
        let line = text.lines().count() + 1;
        let error = parse(&format!("{text}[more]\n")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("a:{line}:2: more than 200000 keys and values")
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        if let Ok(document) = Document::parse(Path::new("any"), &bytes, &environment()) {
            let _ = document.root().parse::<Sample>();
        }
    }

    #[test]
    fn any_text_of_toml_parts_is_read_without_a_panic(
        text in r#"([a-c]|[\[\]{}=.,"'\n #]|\$\{|\}|[0-9]|:-|true|-|text|number|urls|list){0,60}"#
    ) {
        if let Ok(document) = Document::parse(Path::new("any"), text.as_bytes(), &environment()) {
            let _ = document.root().parse::<Sample>();
        }
    }

    #[test]
    fn content_of_the_environment_stays_one_string(content: String) {
        let environment = Environment::from_pairs([("VAR", content.as_str())]);
        let text = b"text = \"<${VAR}>\"\nurls = ['${VAR}', '${VAR}']";
        let document = Document::parse(Path::new("any"), text, &environment).unwrap();
        let sample: Sample = document.root().parse().unwrap();
        prop_assert_eq!(sample.text, format!("<{content}>"));
        prop_assert_eq!(sample.urls, [content.clone(), content]);
        prop_assert_eq!(document.root().keys().collect::<Vec<_>>(), ["text", "urls"]);
    }

    #[test]
    fn an_escaped_string_comes_back_as_it_was(content in r#"[a-z${}: "\\\n-]{0,40}"#) {
        let escaped = content.replace("${", "$${");
        let text = toml::to_string(&std::collections::BTreeMap::from([("text", escaped)])).unwrap();
        prop_assert_eq!(sample(&text).unwrap().text, content);
    }
}
