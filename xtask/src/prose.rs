//! `cargo xtask prose`: finds words that the project's prose avoids, and names the word to use.
//!
//! It reads the Markdown pages, the help texts in snapshots, and the comments of [`SOURCES`], with the
//! string literals of those that are not tests: error texts, hints, reports and log records.
//! [`markdown`] and [`rust`] reduce a file to its prose, line for line, so that code never matches.

mod markdown;
mod rust;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::paths;

/// The pages outside `docs/`.
const PAGES: [&str; 2] = ["README.md", "CONTRIBUTING.md"];

/// The directories of the sources to check.
const SOURCES: [&str; 9] = [
    "crates",
    "examples/embed/src",
    "fuzz/fuzz_targets",
    "modules/commands",
    "modules/examples",
    "modules/fixtures",
    "modules/support",
    "modules/twap",
    "xtask/src",
];

/// The sources of this check. They contain the phrases, so they are not checked.
const OWN: [&str; 2] = ["xtask/src/prose.rs", "xtask/src/prose"];

/// The names of directories of tests. Their string literals are test data, so they are not checked.
const TESTS: [&str; 2] = ["tests", "benches"];

/// The directory of the snapshots with the help texts, and how their names begin. They are read as pages.
const HELP: (&str, &str) = ("crates/nexum-cli/tests/it/snapshots", "it__help__");

/// Stands in a reduced text for something that is not prose, such as a code span: no phrase continues across it.
const GAP: char = '\u{fffc}';

/// Marks in a reduced text the end of a paragraph, a list item or a table cell.
const BREAK: char = '\u{e000}';

/// A word or phrase to avoid, in lower case, and the text to write instead.
type Rule = (&'static str, &'static str);

/// Reduces the text of a file to its prose.
type Reduce = fn(&str) -> String;

const NAME_WHO: &str = "a subject: the operator, the module, nexum";
const RETRY: &str = "retry";
const REVERT: &str = "roll back, revert";

/// Phrases that no sentence may contain.
const ANYWHERE: [Rule; 24] = [
    ("anew", "again, or the action: restart, reload, recompile"),
    ("anybody", NAME_WHO),
    ("be had", "open, get, use"),
    ("far side", "server, peer, endpoint"),
    ("goes before", "overrides"),
    ("go before", "override"),
    ("in vain", "without success, or the count of failed attempts"),
    ("is met with", "is capped to"),
    ("is told", "receives, or name who tells it"),
    ("are told", "receive, or name who tells them"),
    ("meant from", "relative to"),
    ("nobody", NAME_WHO),
    ("somebody", NAME_WHO),
    ("take back", REVERT),
    ("taken back", REVERT),
    ("takes back", REVERT),
    ("took back", REVERT),
    ("tried again", RETRY),
    ("tries again", RETRY),
    ("tripped", "exceeded"),
    ("what it has", "the thing: its state, its settings"),
    ("whoever", NAME_WHO),
    ("wish for", "request"),
    ("wishes", "requests"),
];

/// Phrases that no sentence may begin with.
const AT_START: [Rule; 4] = [
    ("what", "the noun as the subject"),
    ("who", "the noun as the subject"),
    ("those", "the noun as the subject"),
    ("that of", "the noun as the subject"),
];

/// Checks every file, and fails with each place that breaks a rule.
pub(crate) fn check() -> Result<()> {
    let (tests, sources): (Vec<_>, Vec<_>) = sources()?.into_iter().partition(|path| is_test(path));
    let kinds: [(_, Reduce); 3] = [
        (pages()?, markdown::prose),
        (sources, rust::prose),
        (tests, rust::comments),
    ];
    let mut found = Vec::new();
    for (paths, prose) in kinds {
        for path in paths {
            found.extend(findings(&path, prose)?);
        }
    }
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

/// The Markdown pages and the help texts, except the records in `docs/adr`, which are history.
fn pages() -> Result<Vec<PathBuf>> {
    let root = paths::root();
    let mut pages = PAGES.map(|page| root.join(page)).to_vec();
    pages.extend(files(&root.join("docs"), "md", false)?);
    let (snapshots, begin) = HELP;
    let is_help = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with(begin))
    };
    pages.extend(files(&root.join(snapshots), "snap", false)?.into_iter().filter(is_help));
    Ok(pages)
}

/// The files of [`SOURCES`] without [`OWN`].
fn sources() -> Result<Vec<PathBuf>> {
    let own = OWN.map(|name| paths::root().join(name));
    let mut sources = Vec::new();
    for name in SOURCES {
        sources.extend(files(&paths::root().join(name), "rs", true)?);
    }
    sources.retain(|path| !own.iter().any(|own| path.starts_with(own)));
    Ok(sources)
}

/// Whether a file is in one of the directories of [`TESTS`].
fn is_test(path: &Path) -> bool {
    let path = path.strip_prefix(paths::root()).unwrap_or(path);
    path.iter().any(|part| TESTS.iter().any(|name| part == *name))
}

/// The files of a directory with this extension, in the order of their names.
fn files(directory: &Path, extension: &str, into_directories: bool) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut entries = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() && into_directories {
            found.extend(files(&path, extension, true)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    Ok(found)
}

/// One line for each place in a file that breaks a rule.
fn findings(path: &Path, prose: Reduce) -> Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.strip_prefix(paths::root()).unwrap_or(path).display();
    let describe = |(line, (phrase, instead)): (usize, Rule)| format!("{name}:{line}: `{phrase}`: write {instead}");
    Ok(find(&prose(&text)).into_iter().map(describe).collect())
}

/// A word of a reduced text.
struct Word {
    /// In lower case.
    text: String,
    line: usize,
    /// Whether it is capitalised and the first of a sentence.
    starts: bool,
    /// Whether only white space separates it from the previous word.
    continues: bool,
}

/// The line and the rule of each broken rule, in the order of the text.
fn find(prose: &str) -> Vec<(usize, Rule)> {
    let words = words(prose);
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let rest = &words[index..];
        let anywhere = ANYWHERE.iter().filter(|(phrase, _)| begins_with(rest, phrase));
        let at_start = AT_START
            .iter()
            .filter(|(phrase, _)| word.starts && begins_with(rest, phrase));
        found.extend(anywhere.chain(at_start).map(|rule| (word.line, *rule)));
    }
    found
}

fn begins_with(words: &[Word], phrase: &str) -> bool {
    let mut words = words.iter();
    phrase.split(' ').enumerate().all(|(index, expected)| {
        let word = words.next();
        word.is_some_and(|word| word.text == expected && (index == 0 || word.continues))
    })
}

fn words(prose: &str) -> Vec<Word> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '-' | '_');
    let mut words = Vec::new();
    let (mut between, mut line) = (BREAK.to_string(), 1);
    for piece in prose.split_inclusive(|c| !is_part(c)) {
        let text = piece.trim_matches(|c: char| !c.is_alphanumeric());
        let (before, after) = piece
            .split_once(text)
            .filter(|_| !text.is_empty())
            .unwrap_or((piece, ""));
        between.push_str(before);
        if !text.is_empty() {
            let ends_sentence = |c| matches!(c, '.' | '!' | '?' | BREAK);
            words.push(Word {
                text: text.to_lowercase(),
                line,
                starts: between.contains(ends_sentence) && text.starts_with(char::is_uppercase),
                continues: between.chars().all(char::is_whitespace),
            });
            between = after.to_owned();
        }
        line += piece.matches('\n').count();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(prose: &str) -> Vec<(usize, &'static str)> {
        let found = find(prose).into_iter();
        found.map(|(line, (phrase, _))| (line, phrase)).collect()
    }

    #[test]
    fn finds_words_in_any_case_and_phrases_across_lines() {
        assert_eq!(
            found("Nobody waits.\nThe module is\ntold so, and starts anew."),
            [(1, "nobody"), (2, "is told"), (3, "anew")]
        );
    }

    #[test]
    fn finds_no_part_of_a_word_and_no_phrase_across_punctuation() {
        assert_eq!(found("renewed nobody's; it is, told as it is, best in-vain"), []);
        assert_eq!(found(&format!("it is {GAP} told, it is{BREAK}told")), []);
    }

    #[test]
    fn finds_what_begins_a_sentence_and_nothing_else() {
        assert_eq!(
            found("What fails. Those stay, what goes. That of it.\nThat is fine; Who asks? Who?"),
            [(1, "what"), (1, "those"), (1, "that of"), (2, "who")]
        );
        assert_eq!(found(&format!("a{BREAK}What b{BREAK}what c")), [(1, "what")]);
    }

    #[test]
    fn every_rule_has_words_in_lower_case_and_a_suggestion() {
        for (phrase, instead) in ANYWHERE.into_iter().chain(AT_START) {
            assert_eq!(phrase, phrase.to_lowercase());
            assert!(!phrase.is_empty() && !instead.is_empty(), "{phrase}");
        }
    }

    #[test]
    fn knows_the_sources_but_not_its_own() {
        let sources = sources().expect("the sources of this work tree");
        let has = |source: &str| sources.contains(&paths::root().join(source));
        assert!(has("crates/nexum-core/src/runner/step.rs") && has("crates/nexum-cli/tests/it/main.rs"));
        assert!(has("modules/examples/block-logger/src/lib.rs") && has("xtask/src/main.rs"));
        assert!(!has("xtask/src/prose.rs") && !has("xtask/src/prose/rust.rs"));
    }

    #[test]
    fn knows_tests_by_their_directory() {
        let checks_literals = |path: &str| !is_test(&paths::root().join(path));
        assert!(checks_literals("crates/nexum-cli/src/main.rs") && checks_literals("crates/nexum-testing/src/lib.rs"));
        assert!(!checks_literals("crates/nexum-cli/tests/it/main.rs"));
        assert!(!checks_literals("crates/nexum-core/benches/query.rs"));
    }

    #[test]
    fn knows_the_pages_but_not_the_records() {
        let pages = pages().expect("the pages of this work tree");
        let has = |page: &str| pages.contains(&paths::root().join(page));
        assert!(has("README.md") && has("CONTRIBUTING.md") && has("docs/configuration.md"));
        assert!(has("crates/nexum-cli/tests/it/snapshots/it__help__help_run.snap"));
        assert!(
            pages
                .iter()
                .all(|page| !page.starts_with(paths::root().join("docs/adr")))
        );
    }
}
