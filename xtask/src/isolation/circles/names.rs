//! The items of its own crate that a file names: paths in `use` and in the code that begin with
//! `crate`, `self`, `super` or a child.

use std::collections::BTreeMap;

use super::Module;

/// The longest chain of re-exports that is followed: more than any crate nests folders.
const RE_EXPORTS_MAX: usize = 16;

/// The names of other files' items in a file.
#[derive(Debug, Default)]
pub(super) struct File {
    /// Every path in it.
    pub(super) names: Vec<Name>,
    /// The names that `use` introduces, each with its path.
    imports: BTreeMap<String, Name>,
}

/// A path, and the inline modules that contain it.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) path: Vec<String>,
    inline: Vec<String>,
    is_import: bool,
}

impl File {
    pub(super) fn parse(text: &str) -> Self {
        let tokens = tokens(text);
        let mut file = Self::default();
        // For each open brace, the module whose block it opens, if it opens one.
        let mut braces: Vec<Option<String>> = Vec::new();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let text = |ahead: usize| tokens.get(at + ahead).map_or("", String::as_str);
            match token.as_str() {
                "#" if is_test(&tokens[at..]) => {
                    at = after_item(&tokens, at);
                    continue;
                }
                "mod" if text(2) == "{" => {
                    braces.push(Some(text(1).to_owned()));
                    at += 2;
                }
                "{" => braces.push(None),
                "}" => drop(braces.pop()),
                "use" => {
                    let end = tokens[at..].iter().position(|token| token == ";");
                    let end = end.map_or(tokens.len(), |length| at + length);
                    file.import(&mut tokens[at + 1..end].iter().peekable(), &[], &named(&braces));
                    at = end;
                }
                "crate" | "self" | "super" if text(1) == "::" && (at == 0 || tokens[at - 1] != "::") => {
                    let path = path_at(&tokens[at..]);
                    at += 2 * (path.len() - 1);
                    file.names.push(Name {
                        path,
                        inline: named(&braces),
                        is_import: false,
                    });
                }
                _ => {}
            }
            at += 1;
        }
        file
    }

    /// Adds the names of a tree of `use`.
    fn import<'a>(
        &mut self,
        tree: &mut std::iter::Peekable<impl Iterator<Item = &'a String>>,
        prefix: &[String],
        inline: &[String],
    ) {
        let mut path = prefix.to_vec();
        let mut alias = None;
        while let Some(token) = tree.next_if(|token| !matches!(token.as_str(), "," | "}")) {
            match token.as_str() {
                "::" | "*" => {}
                "as" => alias = tree.next().cloned(),
                "{" => {
                    while tree.next_if(|token| *token == "}").is_none() && tree.peek().is_some() {
                        self.import(tree, &path, inline);
                        tree.next_if(|token| *token == ",");
                    }
                    return;
                }
                // `self` in a group: the module itself.
                "self" if !path.is_empty() => {}
                token => path.push(token.to_owned()),
            }
        }
        let name = Name {
            is_import: true,
            inline: inline.to_vec(),
            path,
        };
        if let (Some(known_as), true) = (alias.or_else(|| name.path.last().cloned()), inline.is_empty()) {
            self.imports.insert(known_as, name.clone());
        }
        self.names.push(name);
    }
}

/// The module whose file has the item that `name` means in the file of `module`. None for an item
/// of another crate.
pub(super) fn resolve(files: &BTreeMap<Module, File>, module: &Module, name: &Name) -> Option<Module> {
    let mut absolute = absolute(files, module, name)?;
    for _ in 0..RE_EXPORTS_MAX {
        let known = (0..=absolute.len())
            .rev()
            .find(|length| files.contains_key(&absolute[..*length]))?;
        let (owner, rest) = absolute.split_at(known);
        let owner = owner.to_vec();
        let behind = rest.first().and_then(|item| files.get(&owner)?.imports.get(item));
        match behind.and_then(|behind| self::absolute(files, &owner, behind)) {
            Some(path) if path != absolute => absolute = [&path[..], &rest[1..]].concat(),
            _ => return Some(owner),
        }
    }
    None
}

/// A name's path from the root of the crate.
fn absolute(files: &BTreeMap<Module, File>, module: &Module, name: &Name) -> Option<Vec<String>> {
    let mut base = [&module[..], &name.inline[..]].concat();
    let first = name.path.first()?;
    let mut rest = &name.path[..];
    match first.as_str() {
        "crate" => {
            base.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while let Some((_, after)) = rest.split_first().filter(|(first, _)| *first == "super") {
                base.pop()?;
                rest = after;
            }
        }
        child => {
            let file = [&base[..], &[child.to_owned()]].concat();
            if !name.is_import || !files.contains_key(&file) {
                return None;
            }
        }
    }
    base.extend_from_slice(rest);
    Some(base)
}

/// The path at the beginning of these tokens.
fn path_at(tokens: &[String]) -> Vec<String> {
    let mut path = vec![tokens[0].clone()];
    let mut pairs = tokens[1..].chunks_exact(2);
    while let Some([colons, name]) = pairs.next()
        && colons == "::"
        && is_word(name)
    {
        path.push(name.clone());
    }
    path
}

/// The inline modules among these blocks.
fn named(braces: &[Option<String>]) -> Vec<String> {
    braces.iter().flatten().cloned().collect()
}

/// Whether these tokens begin with `#[cfg(test)]`.
fn is_test(tokens: &[String]) -> bool {
    ["#", "[", "cfg", "(", "test", ")", "]"]
        .iter()
        .zip(tokens)
        .filter(|(expected, token)| *expected == token)
        .count()
        == 7
}

/// The end of the item that starts at `at`: after its block, or after its semicolon.
fn after_item(tokens: &[String], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.as_str() {
            "{" | "[" | "(" => depth += 1,
            "}" if depth <= 1 => return index + 1,
            "}" | "]" | ")" => depth = depth.saturating_sub(1),
            ";" if depth == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Words, `::`, and single characters, without comments and quoted text.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment_length(rest)
        } else if let Some(length) = quoted_length(rest) {
            length
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let end = end.unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            end
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of a block comment, with those inside it.
fn comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of a string or a character at the beginning of the text. A lifetime is neither.
fn quoted_length(text: &str) -> Option<usize> {
    let hashes = text
        .strip_prefix('r')
        .map(|raw| raw.len() - raw.trim_start_matches('#').len());
    if let Some(hashes) = hashes.filter(|hashes| text[1 + hashes..].starts_with('"')) {
        let end = format!("\"{}", "#".repeat(hashes));
        let begin = hashes + 2;
        return Some(text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len()));
    }
    let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    if quote == '\'' {
        let mut characters = text.chars().skip(1);
        let (first, second) = (characters.next(), characters.next());
        (first == Some('\\') || second == Some('\'')).then_some(())?;
    }
    let mut is_escaped = false;
    let end = text.char_indices().skip(1).find(|(_, character)| {
        let is_end = *character == quote && !is_escaped;
        is_escaped = *character == '\\' && !is_escaped;
        is_end
    });
    Some(end.map_or(text.len(), |(at, quote)| at + quote.len_utf8()))
}
