use std::fs;
use std::path::Path;

use nexum_config::manifest::event_signature;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::template::{Kind, New, Sdk, create};
use crate::{Options, Silent, build, process};

/// A project of a template, of which the directory is a part.
struct Made {
    _parent: TempDir,
    project: Project,
}

impl Made {
    fn new(language: Language, kind: Kind, abi: Option<&Value>) -> Self {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = parent.path().join("watch");
        let abi = abi.map(|abi| {
            let path = parent.path().join("Token.json");
            fs::write(&path, abi.to_string()).expect("a file");
            path
        });
        create(&New {
            directory: directory.clone(),
            language,
            kind: Some(kind),
            abi,
            sdk: Sdk::Version("0.1.0".into()),
        })
        .expect("it is made");
        let project = Project::find(&directory).expect("a project");
        Self {
            _parent: parent,
            project,
        }
    }

    fn write(&self, path: impl AsRef<Path>, text: &str) {
        fs::write(self.project.directory.join(path), text).expect("a file");
    }

    /// Runs the native tests, which pass. Returns what they print.
    fn test(&self) -> String {
        let command = test_command(&self.project, &Silent).expect("a command").expect("tests");
        let mut shell = Command::new("sh");
        // Runners write their summaries to one of the two outputs.
        shell.args(["-c", "exec \"$@\" 2>&1", "sh"]).arg(command.get_program());
        shell.args(command.get_args()).current_dir(&self.project.directory);
        if self.project.language == Language::JavaScript {
            // The default reporter depends on the version of Node.js.
            shell.arg("--test-reporter=tap");
        }
        let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        process::output(shell.envs(set), &Silent).expect("the tests pass")
    }

    fn passes(&self, tests: usize) {
        let output = self.test();
        let expected = match (self.project.language, tests) {
            (Language::JavaScript, tests) => format!("# pass {tests}\n"),
            (Language::Python, 1) => "Ran 1 test in ".to_owned(),
            (Language::Python, tests) => format!("Ran {tests} tests in "),
            // A test in C prints its failure alone.
            _ => String::new(),
        };
        assert!(output.contains(&expected), "{output}");
    }

    /// The exports of the built component, and the capabilities of its imports.
    fn build(&self) -> (Vec<String>, Vec<String>) {
        let built = build(&self.project, &Options::default(), &Silent).expect("a module");
        let mut exports = built.exports;
        exports.sort();
        let of_contract = |import: &String| {
            let (_, name) = import.rsplit_once('/')?;
            (!import.starts_with("wasi:")).then(|| name.to_owned())
        };
        let mut imports: Vec<_> = built.imports.iter().filter_map(of_contract).collect();
        imports.sort();
        (exports, imports)
    }
}

fn the_tests_of_each_template_pass(language: Language) {
    for kind in Kind::ALL {
        Made::new(language, kind, None).passes(1);
    }
    Made::new(language, Kind::Event, Some(&vectors())).passes(1);
}

#[test]
fn the_tests_of_each_template_in_javascript_pass() {
    the_tests_of_each_template_pass(Language::JavaScript);
}

#[test]
fn the_tests_of_each_template_in_python_pass() {
    the_tests_of_each_template_pass(Language::Python);
}

#[test]
fn the_tests_of_each_template_in_c_pass() {
    the_tests_of_each_template_pass(Language::C);
}

#[test]
fn a_failed_test_in_c_names_its_line() {
    let made = Made::new(Language::C, Kind::Block, None);
    let test = fs::read_to_string(made.project.directory.join("test/module.c")).expect("the test");
    made.write("test/module.c", &test.replace("costs 7", "costs 8"));
    let command = test_command(&made.project, &Silent).expect("a command");
    let failed = command.expect("a test").output().expect("it runs");
    assert_eq!(failed.status.code(), Some(1));
    let message = String::from_utf8_lossy(&failed.stderr);
    assert!(
        message.starts_with("test/module.c:9: expected !strcmp(test_logged(1), "),
        "{message}"
    );
    assert!(message.contains("record 1: block 6: gas costs 7 wei"), "{message}");
}

#[test]
fn a_project_in_c_without_a_test_has_no_command() {
    let made = Made::new(Language::C, Kind::Block, None);
    fs::remove_dir_all(made.project.directory.join("test")).expect("the test");
    assert!(test_command(&made.project, &Silent).expect("no error").is_none());
}

#[test]
fn each_template_in_c_becomes_a_module() {
    let abi = vectors();
    for (kind, abi, exports, capability) in [
        (Kind::Block, None, &["init", "on-event"][..], Some("chain")),
        (Kind::Event, None, &["init", "on-event"], None),
        (Kind::Event, Some(&abi), &["init", "on-event"], None),
        (Kind::Cron, None, &["init", "on-event"], Some("chain")),
        (Kind::Query, None, &["evaluate", "init", "on-event"], None),
        (Kind::Cow, None, &["init", "on-event"], Some("cow-api")),
    ] {
        let (found, imports) = Made::new(Language::C, kind, abi).build();
        assert_eq!(found, exports, "{kind}");
        // The compiler removes what the module does not call.
        for name in ["chain", "cow-api", "http", "identity", "random"] {
            let is_imported = imports.iter().any(|import| import.starts_with(&format!("{name}@")));
            assert_eq!(is_imported, capability == Some(name), "{kind}: {imports:?}");
        }
    }
}

#[test]
fn a_template_in_javascript_becomes_a_module() {
    let (exports, imports) = Made::new(Language::JavaScript, Kind::Query, None).build();
    assert_eq!(exports, ["evaluate", "init", "on-event", "runtime-init"]);
    assert_eq!(
        imports,
        ["local-store", "logging", "random", "types"].map(|name| format!("{name}@0.2.0"))
    );

    let (exports, imports) = Made::new(Language::JavaScript, Kind::Cow, None).build();
    assert_eq!(exports, ["init", "on-event", "runtime-init"]);
    assert_eq!(
        imports,
        ["cow-api", "logging", "random", "types"].map(|name| format!("{name}@0.2.0"))
    );

    Made::new(Language::JavaScript, Kind::Event, Some(&vectors())).build();
}

#[test]
fn a_template_in_python_becomes_a_module() {
    let (exports, imports) = Made::new(Language::Python, Kind::Block, None).build();
    // `exports` is the interpreter's own.
    assert_eq!(exports, ["exports", "init", "on-event"]);
    let expected = ["chain", "local-store", "logging", "random", "types"];
    assert_eq!(imports, expected.map(|name| format!("{name}@0.2.0")));
}

fn event(name: &str, inputs: &[(&str, &str, bool)]) -> Value {
    let input = |(name, ty, indexed): &(&str, &str, bool)| {
        let (ty, components) = match *ty {
            // A structure of two numbers.
            "pair" => (
                "tuple",
                json!([{"name": "a", "type": "uint256"}, {"name": "b", "type": "uint256"}]),
            ),
            ty => (ty, json!([])),
        };
        json!({ "name": name, "type": ty, "indexed": indexed, "components": components })
    };
    let inputs: Vec<_> = inputs.iter().map(input).collect();
    json!({ "type": "event", "name": name, "inputs": inputs, "anonymous": false })
}

/// The transfers of ERC-20 and ERC-721, whose signatures are equal, a registration of ENS, and an event with
/// a value of each kind.
fn vectors() -> Value {
    let transfer = |third| [("from", "address", true), ("to", "address", true), third];
    json!([
        event("Transfer", &transfer(("value", "uint256", false))),
        event("Transfer", &transfer(("tokenId", "uint256", true))),
        event(
            "NameRegistered",
            &[
                ("name", "string", false),
                ("label", "bytes32", true),
                ("owner", "address", true),
                ("cost", "uint256", false),
                ("expires", "uint256", false),
            ]
        ),
        event(
            "Mixed",
            &[
                ("tick", "int24", false),
                ("amount", "int256", false),
                ("flag", "bool", false),
                ("selector", "bytes4", false),
                ("content", "bytes", false),
                ("list", "uint256[]", false),
                ("pair", "pair", false),
                ("topic", "string", true),
                ("low", "uint64", false),
            ]
        ),
    ])
}

const FROM: &str = "d8da6bf26964af9d7eed9e03e53415d37aa96045";
const TO: &str = "70997970c51812dc3a010c7d01b50e0d17dc79c8";
/// keccak256("vitalik").
const LABEL: &str = "af2caa1c2ca1d027f1ac823b529d0a67cd144264b2789fa2ea4d63a67c7103cc";
const TRANSFER: &str = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const MIXED: &str = "Mixed(int24,int256,bool,bytes4,bytes,uint256[],(uint256,uint256),string,uint64)";
const NAME_REGISTERED: &str = "ca6abbe9d7f11422cb6ca7629fbf6fe9efb1c621f71ce8f02b9f2a230097404f";

/// A word with these digits at its end.
fn word(digits: &str) -> String {
    format!("{digits:0>64}")
}

/// Words with digits at their ends.
fn words(digits: &[&str]) -> String {
    digits.iter().map(|digits| word(digits)).collect()
}

/// The topics and the data of a log of each event, in the order of [`vectors`], and of a log of the third
/// event whose text is longer than its data.
fn logs() -> [(Vec<String>, String); 5] {
    let transfer = || vec![TRANSFER.to_owned(), word(FROM), word(TO)];
    let registered = || vec![NAME_REGISTERED.to_owned(), LABEL.to_owned(), word(FROM)];
    let text = format!("{:0<64}", "766974616c696b");
    let mixed = event_signature(MIXED).expect("a signature");
    let mixed = mixed.iter().map(|byte| format!("{byte:02x}")).collect();
    let minus_one = "f".repeat(64);
    let tick = format!("{}f27618", "f".repeat(58));
    let selector = format!("{:0<64}", "deadbeef");
    let head = [words(&["120", "160", "b", "c"]), word("ffffffffffffffff")].concat();
    let tail = [word("3"), format!("{:0<64}", "010203"), words(&["1", "5"])].concat();
    [
        (transfer(), word("de0b6b3a7640000")),
        ([transfer(), vec![word("7")]].concat(), String::new()),
        (registered(), words(&["60", "38d7ea4c68000", "6774a180", "7"]) + &text),
        (
            vec![mixed, LABEL.to_owned()],
            [tick, minus_one, word("1"), selector, head, tail].concat(),
        ),
        (registered(), words(&["60", "0", "0", "21"]) + &text),
    ]
}

/// The logs as JSON, with the names that logs have in JavaScript and Python.
fn logs_as_json() -> Value {
    let log = |(topics, data): (Vec<String>, String)| {
        let topics: Vec<_> = topics.iter().map(|topic| format!("0x{topic}")).collect();
        json!({ "topics": topics, "data": format!("0x{data}") })
    };
    logs().map(log).to_vec().into()
}

/// The arguments of the events, as JavaScript and Python have them. A number is a text.
fn arguments() -> Value {
    let [from, to] = [FROM, TO].map(|account| format!("0x{account}"));
    json!([
        { "name": "Transfer", "args": { "from": from, "to": to, "value": "1000000000000000000" } },
        { "name": "Transfer_2", "args": { "from": from, "to": to, "tokenId": "7" } },
        { "name": "NameRegistered", "args": {
            "name": "vitalik", "label": format!("0x{LABEL}"), "owner": from, "cost": "1000000000000000",
            "expires": "1735696768",
        } },
        { "name": "Mixed", "args": {
            "tick": "-887272", "amount": "-1", "flag": true, "selector": "0xdeadbeef", "content": "0x010203",
            "list": format!("0x{}", words(&["1", "5"])), "pair": format!("0x{}", words(&["b", "c"])),
            "topic": format!("0x{LABEL}"), "low": "18446744073709551615",
        } },
        null,
    ])
}

#[test]
fn javascript_decodes_real_logs() {
    let made = Made::new(Language::JavaScript, Kind::Event, Some(&vectors()));
    let test = format!(
        "import assert from \"node:assert\";\nimport test from \"node:test\";\n\
         import {{ decode }} from \"#nexum/abi\";\nimport {{ EVENTS }} from \"../src/events.js\";\n\
         const text = (value) => typeof value === \"bigint\" ? String(value) : value;\n\
         test(\"decodes\", () => {{\n  const found = {}.map((log) => decode(EVENTS, log));\n  \
         assert.deepEqual(JSON.parse(JSON.stringify(found, (_, value) => text(value))), {});\n}});\n",
        logs_as_json(),
        arguments(),
    );
    made.write("test/vectors.test.js", &test);
    made.passes(2);
}

#[test]
fn python_decodes_real_logs() {
    let made = Made::new(Language::Python, Kind::Event, Some(&vectors()));
    let test = format!(
        "import json\nimport unittest\nfrom types import SimpleNamespace\n\nfrom events import EVENTS\n\
         from nexum.abi import decode\n\n\
         def text(value):\n    return value if isinstance(value, (bool, str)) else str(value)\n\n\
         class Vectors(unittest.TestCase):\n    def test_decodes(self):\n        found = []\n        \
         for log in json.loads('{}'):\n            event, arguments = decode(EVENTS, SimpleNamespace(**log))\n            \
         args = event and {{key: text(value) for key, value in arguments.items()}}\n            \
         found.append(event and {{'name': event.name, 'args': args}})\n        \
         self.assertEqual(found, json.loads('{}'))\n",
        logs_as_json(),
        arguments(),
    );
    made.write("tests/test_vectors.py", &test);
    made.passes(2);
}

#[test]
fn c_decodes_real_logs() {
    let made = Made::new(Language::C, Kind::Event, Some(&vectors()));
    let log = |(topics, data): (Vec<String>, String)| {
        let topics: Vec<_> = topics.iter().map(|topic| format!("0x{topic}")).collect();
        format!("test_log(\"{FROM}\", \"{}\", \"0x{data}\", 7),\n", topics.join(" "))
    };
    let logs: String = logs().map(log).concat();
    let same = |value: &str, size: usize, expected: &str| {
        format!("  EXPECT(!strcmp(nexum_hex({value}, {size}), \"0x{expected}\"));\n")
    };
    let part = |field: &str, expected: &str| {
        let size = expected.len() / 2;
        format!("  EXPECT({field}.size == {size});\n") + &same(&format!("{field}.data"), size, expected)
    };
    let checks = [
        "event_Transfer erc20;\nevent_Transfer_2 erc721;\nevent_NameRegistered registered;\nevent_Mixed mixed;\n"
            .to_owned(),
        "  EXPECT(decode_Transfer(&logs[0], &erc20) && !decode_Transfer_2(&logs[0], &erc721));\n".to_owned(),
        same("erc20.from", 20, FROM),
        same("erc20.to", 20, TO),
        same("erc20.value", 32, &word("de0b6b3a7640000")),
        "  EXPECT(decode_Transfer_2(&logs[1], &erc721) && !decode_Transfer(&logs[1], &erc20));\n".to_owned(),
        same("erc721.tokenId", 32, &word("7")),
        "  EXPECT(decode_NameRegistered(&logs[2], &registered));\n".to_owned(),
        "  EXPECT(registered.name.size == 7 && !memcmp(registered.name.data, \"vitalik\", 7));\n".to_owned(),
        same("registered.label", 32, LABEL),
        same("registered.owner", 20, FROM),
        same("registered.expires", 32, &word("6774a180")),
        "  EXPECT(decode_Mixed(&logs[3], &mixed));\n  EXPECT(mixed.tick == -887272 && mixed.flag);\n".to_owned(),
        same("mixed.amount", 32, &"f".repeat(64)),
        same("mixed.selector", 4, "deadbeef"),
        part("mixed.content", "010203"),
        part("mixed.list", &words(&["1", "5"])),
        part("mixed.pair", &words(&["b", "c"])),
        same("mixed.topic", 32, LABEL),
        "  EXPECT(mixed.low == UINT64_MAX);\n  EXPECT(!decode_NameRegistered(&logs[4], &registered));\n".to_owned(),
    ]
    .concat();
    let test = format!(
        "#include <string.h>\n\n#include \"events.h\"\n#include \"testing.h\"\n\nint main(void) {{\n  \
         const nexum_log_entry logs[] = {{\n{logs}  }};\n{checks}  return 0;\n}}\n"
    );
    made.write("test/module.c", &test);
    made.passes(1);
}

#[test]
fn c_reads_the_members_of_json() {
    let made = Made::new(Language::C, Kind::Block, None);
    let nested = r#"{\"a\":{\"b\":[1,{\"c\":\"}\"}],\"d\" : -1.5e3 }, \"e\":true}"#;
    let checks: String = [
        (nested, "a.d", Some("-1.5e3")),
        (nested, "a.b", Some(r#"[1,{\"c\":\"}\"}]"#)),
        (nested, "e", Some("true")),
        (nested, "b", None),
        (r#"{\"x\\\"a\":1,\"a\":\"q\\\"r\"}"#, "a", Some(r#"q\\\"r"#)),
        ("[]", "a", None),
        ("", "a", None),
        (r#"{\"a\":\""#, "a", None),
    ]
    .map(|(json, path, expected)| match expected {
        Some(expected) => format!("  EXPECT(!strcmp(nexum_json(\"{json}\", \"{path}\"), \"{expected}\"));\n"),
        None => format!("  EXPECT(!nexum_json(\"{json}\", \"{path}\"));\n"),
    })
    .concat();
    let includes = "#include <string.h>\n\n#include \"testing.h\"\n";
    made.write(
        "test/module.c",
        &format!("{includes}\nint main(void) {{\n{checks}  return 0;\n}}\n"),
    );
    made.passes(1);
}

/// Names that are words of a language, or that the generated files have themselves.
fn hostile() -> Value {
    let numbers = [
        ("__proto__", "uint256", false),
        ("class", "uint8", true),
        ("", "bool", false),
    ];
    let names = [
        ("NULL", "int8", false),
        ("from", "address", false),
        ("_from", "address", false),
        ("errno", "bool", true),
    ];
    let more = [("A$B", "uint256", false), ("__x", "bool", false)];
    let mut events: Vec<_> = [
        "class",
        "default",
        "await",
        "__proto__",
        "_abi",
        "abi",
        "Event",
        "EVENTS",
        "None",
        "print",
    ]
    .map(|name| event(name, &numbers))
    .into();
    events.extend(["A$B", "int", "Twice_2", "Twice"].map(|name| event(name, &names)));
    events.extend([event("Twice", &more), event("Twice", &[]), event("decode", &[])]);
    events.into()
}

#[test]
fn any_name_of_an_abi_becomes_code() {
    for language in [Language::JavaScript, Language::Python, Language::C] {
        Made::new(language, Kind::Event, Some(&hostile())).passes(1);
    }
}
