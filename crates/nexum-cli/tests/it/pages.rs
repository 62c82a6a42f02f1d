//! The commands that the documentation and the service name exist, with their options. Its tables explain
//! every word of a state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::Dir;
use crate::help::{help, subcommands};

/// The ways to name the program in a command.
const PROGRAM: [&str; 2] = ["nexum", "/usr/bin/nexum"];

/// The help of every command, by the words of the command.
fn commands(dir: &Dir, path: &[String], found: &mut BTreeMap<Vec<String>, String>) {
    let own = help(dir, path, 80);
    for name in subcommands(&own) {
        commands(dir, &[path, &[name]].concat(), found);
    }
    found.insert(path.to_vec(), own);
}

/// The code of a page: blocks of shell commands, and spans.
fn code(page: &str) -> Vec<String> {
    let mut code = Vec::new();
    let mut prose = String::new();
    for (number, part) in page.split("```").enumerate() {
        match part.strip_prefix("sh\n") {
            _ if number % 2 == 0 => prose.push_str(part),
            Some(block) => code.extend(block.replace("\\\n", " ").lines().map(str::to_owned)),
            // Configurations, outputs and other languages.
            None => {}
        }
    }
    let spans = prose
        .split("\n\n")
        .flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
    code.extend(spans.map(str::to_owned));
    code
}

/// The words after the program's name in each command of a line.
fn calls(line: &str) -> Vec<Vec<&str>> {
    let line = line.split(" #").next().unwrap_or_default();
    let words: Vec<&str> = line
        .split_whitespace()
        .map(|word| word.trim_matches(['(', ')', ';', ',']))
        .collect();
    let begins = words.iter().enumerate().filter(|(_, word)| PROGRAM.contains(word));
    let rest = begins.map(|(at, _)| {
        let rest = words.iter().copied().skip(at + 1);
        rest.take_while(|word| !["|", "&&", ">", "--"].contains(word))
            .collect::<Vec<_>>()
    });
    // Otherwise, the word is the name of a user, a unit or an image.
    let is_command = |call: &Vec<&str>| {
        call.first()
            .is_some_and(|word| word.starts_with(|c: char| c.is_ascii_lowercase()) && !PROGRAM.contains(word))
    };
    rest.filter(is_command).collect()
}

/// The command of a call that does not exist, or its option.
fn unknown(call: &[&str], known: &BTreeMap<Vec<String>, String>) -> Option<String> {
    let mut path = Vec::new();
    for word in call {
        let longer = [&path[..], &[(*word).to_owned()]].concat();
        if !known.contains_key(&longer) {
            break;
        }
        path = longer;
    }
    let is_group = known
        .keys()
        .any(|other| other.len() > path.len() && other.starts_with(&path));
    let next = call.get(path.len());
    if let Some(word) = next.filter(|word| is_group && word.starts_with(|c: char| c.is_ascii_lowercase())) {
        return Some(format!("{} {word}", path.join(" ")));
    }
    let help = known.get(&path).map_or("", String::as_str);
    let options = call.iter().filter(|word| word.starts_with("--"));
    let mut options = options.map(|option| option.split('=').next().unwrap_or_default());
    options
        .find(|option| !help.split([' ', ',', '\n', '=', '[']).any(|word| word == *option))
        .map(|option| format!("{} {option}", path.join(" ")))
}

#[test]
fn every_command_of_the_documentation_and_of_the_service_exists() {
    let dir = Dir::new();
    let mut known = BTreeMap::new();
    commands(&dir, &[], &mut known);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let unit = "packaging/systemd/nexum.service";
    let unit_text = read(unit);
    let starts = unit_text.lines().filter(|line| line.starts_with("Exec"));
    let starts = starts.filter_map(|line| line.split_once('='));
    let mut lines: Vec<(String, String)> = starts.map(|(_, line)| (unit.to_owned(), line.to_owned())).collect();
    for page in [
        "README.md",
        "docs/operating.md",
        "docs/cluster.md",
        "docs/configuration.md",
        "docs/queries.md",
    ] {
        lines.extend(code(&read(page)).into_iter().map(|line| (page.to_owned(), line)));
    }
    let mut calls_found = 0;
    let mut faults = Vec::new();
    for (page, line) in &lines {
        for call in calls(line) {
            calls_found += 1;
            faults.extend(unknown(&call, &known).map(|what| format!("{page}: {what}: {line}")));
        }
    }
    assert!(calls_found > 40, "{calls_found}");
    assert_eq!(faults, [""; 0]);
}

/// The words in the first column of a table, which begins with the row `header`.
fn first_column(page: &str, header: &str) -> BTreeSet<String> {
    let mut lines = page.lines().skip_while(|line| !line.starts_with(header));
    assert!(lines.next().is_some(), "no table {header}");
    let rows = lines.skip(1).map_while(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    words.map(str::to_owned).collect()
}

#[test]
fn the_tables_of_the_documentation_have_every_word_of_a_state() {
    let page = include_str!("../../../../docs/operating.md");
    let api: Value = serde_json::from_str(include_str!("../../../../docs/openapi.json")).expect("JSON");
    for (schema, header, is_code) in [
        ("Stage", "| stage |", false),
        ("EndpointState", "| state |", false),
        ("Wanted", "| WANTED |", true),
        ("EventKind", "| kind | meaning |", true),
        ("ConditionKind", "| kind | condition |", true),
    ] {
        let words = &api["components"]["schemas"][schema]["enum"];
        let words = words.as_array().unwrap_or_else(|| panic!("no enum {schema}"));
        let words = words.iter().map(|word| word.as_str().expect("a word").to_owned());
        // People read spaces in place of underscores, and programs read the code.
        let words: BTreeSet<String> = words
            .map(|word| if is_code { word } else { word.replace('_', " ") })
            .collect();
        assert_eq!(first_column(page, header), words, "{schema}: {header}");
    }
}
