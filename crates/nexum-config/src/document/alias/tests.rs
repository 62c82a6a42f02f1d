//! Replacement on any document.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::document::Environment;

fn parsed(text: &str) -> Document {
    Document::parse(Path::new("a.toml"), text.as_bytes(), &Environment::closed()).unwrap()
}

/// The tree with its positions.
fn shown(document: &Document) -> String {
    fn table(table: &Table, text: &mut String) {
        for Entry { key, key_span, node } in &table.entries {
            *text += &format!("{key:?}@{key_span:?}=");
            value(node, text);
        }
    }
    fn value(node: &Node, text: &mut String) {
        *text += &format!("@{:?}", node.span);
        match &node.value {
            Value::Table(below) => {
                *text += "{";
                table(below, text);
                *text += "}";
            }
            Value::Array(nodes) => {
                *text += "[";
                nodes.iter().for_each(|node| value(node, text));
                *text += "]";
            }
            Value::String(string) => *text += &format!("{string:?}"),
            Value::Integer(number) => *text += &format!("{number:?}"),
            Value::Float(number) => *text += &format!("{number:?}"),
            Value::Boolean(flag) => *text += &format!("{flag}"),
            Value::Datetime => *text += "date",
        }
    }
    let mut text = String::new();
    table(&document.clone().root.parts_mut().1.clone(), &mut text);
    text
}

/// Documents of the words that occur in aliases.
fn any_document() -> impl Strategy<Value = String> {
    let mut words: Vec<_> = ALIASES
        .iter()
        .flat_map(|alias| [alias.old, alias.new])
        .flat_map(|path| path.split('.'))
        .map(|part| part.trim_end_matches("[]").to_owned())
        .map(|part| if part == "*" { "1".to_owned() } else { part })
        .collect();
    words.sort();
    words.dedup();
    words.push("\"*\"".to_owned());
    let key = proptest::sample::select(words);
    let path = proptest::collection::vec(key, 1..4).prop_map(|keys| keys.join("."));
    let value = proptest::sample::select(vec![
        "1",
        "-1",
        "true",
        "false",
        "\"x\"",
        "\"chain-log\"",
        "[\"local_store\", 1]",
        "{}",
        "[[]]",
        "1.5",
        "170141183460469231731687303715884105727",
        "[{ kind = \"chain-log\" }]",
        "{ 1 = { orderbook_url = 2 } }",
        "{ enabled = true }",
    ]);
    let line = prop_oneof![
        path.clone().prop_map(|path| format!("[{path}]\n")),
        path.clone().prop_map(|path| format!("[[{path}]]\n")),
        (path, value).prop_map(|(path, value)| format!("{path} = {value}\n")),
    ];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn a_second_replacement_finds_no_old_name(text in any_document(), file in prop_oneof![Just(File::Engine), Just(File::Manifest)]) {
        let Ok(mut document) = Document::parse(Path::new("a.toml"), text.as_bytes(), &Environment::closed()) else {
            return Ok(());
        };
        let mut errors = Vec::new();
        let notices = document.replace_old_names(file, &mut errors);
        prop_assert!(notices.len() <= ALIASES.len());
        prop_assert!(notices.iter().chain(&errors).all(|found| found.line().is_some()));
        let once = shown(&document);
        let again = document.replace_old_names(file, &mut errors);
        prop_assert_eq!(again.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
        prop_assert_eq!(shown(&document), once);
    }
}

#[test]
fn a_document_without_old_names_stays() {
    for file in [File::Engine, File::Manifest] {
        let mut document = parsed("[engine]\nstate_dir = \"a\"\n[[subscription]]\nkind = \"log\"\n[chains.1]\n");
        let before = shown(&document);
        let mut errors = Vec::new();
        assert!(document.replace_old_names(file, &mut errors).is_empty() && errors.is_empty());
        assert_eq!(shown(&document), before);
    }
}

#[test]
fn the_uses_of_one_name_have_a_bound() {
    let text: String = (0..=USES_MAX)
        .map(|id| format!("[chains.{id}]\norderbook_url = \"http://a\"\n"))
        .collect();
    let mut document = parsed(&text);
    let mut errors = Vec::new();
    let notices = document.replace_old_names(File::Engine, &mut errors);
    let [notice] = &notices[..] else { panic!("{notices:?}") };
    assert_eq!(
        notice.to_string(),
        "a.toml:2:1: chains.0.orderbook_url: is an old name, the new one is cow.0.base_url, also at 999 more places"
    );
    let left = document.root().location("chains.1000.orderbook_url").error("");
    assert_eq!((left.line(), errors.len()), (Some(2_002), 0));
}
