//! ABIs whose names or types Rust cannot have.

use serde_json::Value;

use super::*;

/// The ABI of the test in nexum-sdk that compiles it.
const AWKWARD: &str = include_str!("../../../../nexum-sdk/tests/abi/Awkward.json");

fn param(name: &str, ty: &str) -> Value {
    json!({ "name": name, "type": ty })
}

fn indexed(name: &str, ty: &str) -> Value {
    json!({ "name": name, "type": ty, "indexed": true })
}

fn event(name: &str, inputs: &[Value]) -> Value {
    let inputs = inputs.iter().map(|input| {
        let mut input = input.clone();
        let is_indexed = input["indexed"] == true;
        input["indexed"] = is_indexed.into();
        input
    });
    json!({ "type": "event", "name": name, "inputs": inputs.collect::<Vec<_>>(), "anonymous": false })
}

fn anonymous(name: &str, inputs: &[Value]) -> Value {
    let mut event = event(name, inputs);
    event["anonymous"] = true.into();
    event
}

fn function(name: &str, inputs: &[Value], outputs: &[Value]) -> Value {
    json!({ "type": "function", "name": name, "inputs": inputs, "outputs": outputs, "stateMutability": "view" })
}

/// The error, the code, or the kind of a project for the ABI.
fn made(abi: &[Value]) -> Result<(Kind, String), String> {
    let directory = directory();
    let (created, code) = with_abi(directory.path(), "Events.json", &json!(abi).to_string())?;
    Ok((created.kind, code))
}

/// The file with the ABI in a project.
fn written(abi: &[Value]) -> String {
    let directory = directory();
    with_abi(directory.path(), "Awkward.json", &json!(abi).to_string()).expect("it is made");
    fs::read_to_string(directory.path().join("awkward-json/watch/abi/Awkward.json")).expect("a file")
}

#[test]
fn renames_parameters_that_rust_cannot_name() {
    let amount = param("amount", "uint256");
    let pair = |name: &str, internal: &str| {
        json!({
            "name": name, "type": "tuple", "internalType": internal,
            "components": [param("", "uint256"), param("self", "address")],
        })
    };
    let abi = [
        event(
            "Unnamed",
            &[param("", "uint256"), param("_0", "uint256"), param("", "uint256")],
        ),
        event(
            "Words",
            &[
                indexed("indexed", "address"),
                param("crate", "bool"),
                param("arg1", "bool"),
            ],
        ),
        event("Twice", &[indexed("amount", "uint256")]),
        event("Twice", &[param("amount", "address")]),
        event("move", std::slice::from_ref(&amount)),
        event("Long", &[param("values", "uint256[100]")]),
        anonymous(
            "Hidden",
            &[
                indexed("a", "bool"),
                indexed("b", "bool"),
                indexed("c", "bool"),
                indexed("d", "bool"),
            ],
        ),
        function(
            "take",
            &[
                param("self", "uint256"),
                param("match", "uint256"),
                param("a$b", "uint256"),
            ],
            &[],
        ),
        function(
            "give",
            &[
                pair("named", "struct Awkward.Pair"),
                pair("unnamed", "struct Settings.Pair"),
            ],
            &[],
        ),
        function("give", &[pair("gen", "struct crate.Pair")], &[amount.clone(), amount]),
        function("address", &[], &[param("", "address")]),
        function(
            "take",
            &[param("a", "uint256"), param("b", "uint256"), param("c", "uint256")],
            &[],
        ),
    ];
    assert_eq!(written(&abi), AWKWARD);
    let abi: Value = serde_json::from_str(AWKWARD).expect("JSON");
    let names = |name: &str| -> Vec<String> {
        let item = abi.as_array().expect("items").iter().find(|item| item["name"] == name);
        let inputs = item.expect("an item")["inputs"].as_array().expect("inputs");
        inputs
            .iter()
            .map(|input| input["name"].as_str().expect("a name").into())
            .collect()
    };
    assert_eq!(names("Unnamed"), ["", "arg1", ""]);
    assert_eq!(names("Words"), ["arg0", "arg1x", "arg1"]);
    assert_eq!(names("take"), ["arg0", "arg1", "arg2"]);
}

#[test]
fn handles_the_first_event_that_it_can() {
    let a = param("a", "uint256");
    let long = event("Long", &[param("a", "uint256[33]")]);
    let one = std::slice::from_ref(&a);
    for (abi, name, path) in [
        (
            vec![anonymous("Hidden", one), event("Zeta", one), event("Alpha", one)],
            "Zeta",
            "Zeta",
        ),
        (
            vec![event("Twice", one), event("Twice", &[param("a", "bool")])],
            "Twice_0",
            "Twice_0",
        ),
        (vec![event("move", one)], "move", "r#move"),
        (
            vec![long, event("Short", &[param("a", "uint256[32]")])],
            "Short",
            "Short",
        ),
        // `sol!` numbers items of all kinds that share a name: errors, then events, then functions.
        (
            vec![event("Mint", one), function("Mint", &[param("a", "bool")], &[])],
            "Mint_0",
            "Mint_0",
        ),
        (vec![event("Mint", one), function("Mint", one, &[])], "Mint_1", "Mint_1"),
    ] {
        let (kind, code) = made(&abi).expect("it is made");
        assert_eq!(kind, Kind::Event);
        assert!(
            code.contains(&format!("#[on_event(Events::{path}, chain_id = 31337)]")),
            "{code}"
        );
        assert!(code.contains(&format!("logged[0].starts_with(\"{name}\")")), "{code}");
    }
}

#[test]
fn refuses_items_that_rust_cannot_have() {
    let a = param("a", "uint256");
    let one = std::slice::from_ref(&a);
    let four = ["a", "b", "c", "d"].map(|name| indexed(name, "bool"));
    let enormous = param("a", "uint256[4294967296]");
    for (abi, item, reason) in [
        (
            vec![event("match", one)],
            "event match",
            "has a name that Rust does not permit",
        ),
        (
            vec![function("self", one, &[])],
            "function self",
            "has a name that Rust does not permit",
        ),
        (
            vec![function("crate", one, &[])],
            "function crate",
            "has a name that Rust does not permit",
        ),
        (
            vec![event("Odd", &[param("a", "foo")])],
            "event Odd",
            "has the type foo, which nexum does not know",
        ),
        (
            vec![function("odd", &[], &[param("a", "uint7[]")])],
            "function odd",
            "has the type uint7, which nexum does not know",
        ),
        (
            vec![function("odd", &[param("a", "function")], &[])],
            "function odd",
            "has the type function, which nexum does not know",
        ),
        (
            vec![event("Odd", &[param("a", "tuple")])],
            "event Odd",
            "has a tuple without members",
        ),
        (
            vec![function("odd", &[enormous], &[])],
            "function odd",
            "has the type uint256[4294967296], which has more than 65536 words",
        ),
        (
            vec![
                function("get", &[], &[]),
                function("get", one, &[]),
                function("get_1", &[], &[]),
            ],
            "function get",
            "is overloaded, and Rust needs the name get_1, which another item has",
        ),
        (
            vec![event("Odd", &four)],
            "event Odd",
            "has 4 indexed inputs, and a log has 3 at most",
        ),
    ] {
        let expected = format!(
            "the {item} of the ABI DIR/Events.json {reason} (remove the {item}: a module does not need all of an ABI)"
        );
        let directory = directory();
        let error = with_abi(directory.path(), "Events.json", &json!(abi).to_string()).expect_err(reason);
        assert_eq!(error, expected);
        assert_eq!(tree(directory.path()), ["Events.json"]);
    }
}

#[test]
fn says_why_a_module_handles_no_event() {
    let a = param("a", "uint256");
    let wide = json!({ "name": "a", "type": "tuple", "components": vec![a.clone(); 13] });
    let reason = "has an array or a tuple without `Default` in Rust: write the handler by hand";
    let large = param("a", "uint256[65536]");
    for (event, reason) in [
        (anonymous("E", std::slice::from_ref(&a)), "is anonymous"),
        (event("E", &[param("a", "bool[33][]")]), reason),
        (event("E", &[wide]), reason),
        (event("E", &[a, large]), "has more than 65536 words of data"),
    ] {
        let error = made(&[event, function("get", &[], &[])]).expect_err(reason);
        assert_eq!(
            error,
            format!(
                "the ABI DIR/Events.json has no event that a module can handle: the event E {reason} (use --lang rust \
                 --template block)"
            )
        );
    }
    let error = made(&[]).expect_err("empty");
    assert_eq!(
        error,
        "the ABI DIR/Events.json has no event and no function (without --abi, nexum new makes a module of any template)"
    );
}
