use super::super::abi::Abi;
use super::*;

const TOKEN: &str = include_str!("../../../../nexum-sdk/tests/abi/Token.json");

/// The generated files for an ABI.
fn files(language: Language, abi: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("Token.json");
    std::fs::write(&path, abi).expect("a file");
    let abi = Abi::read(&path, language).expect("an ABI");
    let decoder = Decoder::new(language, &abi.contract, &abi.events).expect("events");
    decoder.files.into_iter().map(|(_, text)| text).collect()
}

const TOPIC: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

#[test]
fn javascript_has_a_constant_for_each_event() {
    let expected = format!(
        "// The events of the contract `Token`. `decode` of an event gives its arguments, or null for another log.\n\n\
         import * as abi from \"#nexum/abi\";\n\n\
         // event Transfer(address indexed from, address indexed to, uint256 value)\n\
         export const Transfer = new abi.Event(\"Transfer\", \"Transfer(address,address,uint256)\", \"{TOPIC}\", [\n  \
         [\"from\", \"address\", \"indexed\"],\n  [\"to\", \"address\", \"indexed\"],\n  [\"value\", \"uint256\"],\n]);\n\n\
         export const EVENTS = [Transfer];\n"
    );
    assert_eq!(files(Language::JavaScript, TOKEN), [expected]);
}

#[test]
fn python_has_a_variable_for_each_event() {
    let expected = format!(
        "\"\"\"The events of the contract `Token`.\n\n`decode` of an event gives its arguments, or None for another \
         log.\n\"\"\"\n\nfrom nexum import abi\n\n\
         # event Transfer(address indexed from, address indexed to, uint256 value)\n\
         Transfer = abi.Event(\n    \"Transfer\",\n    \"Transfer(address,address,uint256)\",\n    \"{TOPIC}\",\n    [\n        \
         (\"from\", \"address\", \"indexed\"),\n        (\"to\", \"address\", \"indexed\"),\n        \
         (\"value\", \"uint256\"),\n    ],\n)\n\nEVENTS = [Transfer]\n"
    );
    assert_eq!(files(Language::Python, TOKEN), [expected]);
}

#[test]
fn c_has_a_structure_and_a_function_for_each_event() {
    let [header, source] = files(Language::C, TOKEN).try_into().expect("two files");
    let declared = "// event Transfer(address indexed from, address indexed to, uint256 value)\n\
                    extern const uint8_t topic_Transfer[32];\n\ntypedef struct {\n  uint8_t from[20];\n  \
                    uint8_t to[20];\n  uint8_t value[32];\n} event_Transfer;\n\n\
                    bool decode_Transfer(const nexum_log_entry *log, event_Transfer *event);\n";
    assert!(header.contains(declared), "{header}");
    let defined = "const uint8_t topic_Transfer[32] = {\n    \
                   0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2, 0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa,\n    \
                   0x95, 0x2b, 0xa7, 0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23, 0xb3, 0xef,\n};\n\n\
                   bool decode_Transfer(const nexum_log_entry *log, event_Transfer *event) {\n  nexum_abi abi;\n  \
                   return nexum_abi_begin(&abi, log, topic_Transfer, 3) &&\n         \
                   nexum_abi_last(&abi, NEXUM_INDEXED, event->from, sizeof event->from) &&\n         \
                   nexum_abi_last(&abi, NEXUM_INDEXED, event->to, sizeof event->to) &&\n         \
                   nexum_abi_last(&abi, NEXUM_DATA, event->value, sizeof event->value);\n}\n";
    assert!(source.contains(defined), "{source}");
}

#[test]
fn names_what_is_not_decoded() {
    let input = |name: &str, ty: &str, indexed: bool| {
        let members = serde_json::json!([{ "name": "a", "type": "uint8" }, { "name": "b", "type": "address" }]);
        let components = if ty.starts_with("tuple") {
            members
        } else {
            serde_json::json!([])
        };
        serde_json::json!({ "name": name, "type": ty, "indexed": indexed, "components": components })
    };
    let inputs = [
        input("text", "string", true),
        input("list", "uint8[]", false),
        input("pair", "tuple[2]", false),
    ];
    let abi = serde_json::json!([{ "type": "event", "name": "E", "inputs": inputs, "anonymous": false }]);
    let [text] = files(Language::JavaScript, &abi.to_string())
        .try_into()
        .expect("one file");
    let expected = "// event E(string indexed text, uint8[] list, (uint8,address)[2] pair)\n\
                    // text is the hash of a string: the log has no more.\n\
                    // list is not decoded: it is the data from the encoding of the uint8[] on.\n\
                    // pair is not decoded: it is the encoding of a (uint8,address)[2].\n";
    assert!(text.contains(expected), "{text}");
    assert!(
        text.contains("[\"text\", \"bytes32\", \"indexed\"],\n  [\"list\", \"raw\"],\n  [\"pair\", \"raw4\"]"),
        "{text}"
    );
}

#[test]
fn skips_events_whose_logs_cannot_exist() {
    let event = |name: &str, ty: &str, indexed: usize, anonymous: bool| {
        let mut inputs = vec![serde_json::json!({ "name": "a", "type": ty, "indexed": false })];
        inputs.extend((0..indexed).map(|_| serde_json::json!({ "name": "", "type": "bool", "indexed": true })));
        serde_json::json!({ "type": "event", "name": name, "inputs": inputs, "anonymous": anonymous })
    };
    let abi = serde_json::json!([
        event("Anonymous", "bool", 0, true),
        event("Topics", "bool", 4, false),
        event("Large", "uint8[65537]", 0, false),
        event("Huge", "uint8[4294967296][18446744073709551615]", 0, false),
        event("Most", "uint8[256][256]", 3, false),
    ]);
    let [text] = files(Language::Python, &abi.to_string()).try_into().expect("one file");
    assert!(text.ends_with("EVENTS = [Most]\n"), "{text}");
    assert!(text.contains("\"raw65536\""), "{text}");
}
