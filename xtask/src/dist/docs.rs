//! The documentation in the packages. Its files have the paths of the work tree, so that links between
//! pages stay as they are. Decision records and sources are not in the packages: a page there names them
//! without a link.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result};

use super::tree::{copy, write};
use crate::paths;

/// The files beside the pages.
const FILES: [&str; 4] = ["README.md", "LICENSE-APACHE", "LICENSE-MIT", "engine.example.toml"];

/// The directory of the pages. Its directories are for developers.
const PAGES: &str = "docs";

/// Follows the name of a file that is not in the packages.
const ELSEWHERE: &str = " in the sources";

/// Writes the documentation into a directory.
pub(super) fn fill(directory: &Path) -> Result<()> {
    let files = files()?;
    for file in &files {
        let (from, to) = (paths::root().join(file), directory.join(file));
        if is_page(file) {
            let page = fs::read_to_string(&from).with_context(|| format!("cannot read {}", from.display()))?;
            write(&to, linked(&page, file, &files).as_bytes())?;
        } else {
            copy(&from, &to)?;
        }
    }
    Ok(())
}

/// The files of the documentation, by their paths in the work tree.
fn files() -> Result<BTreeSet<PathBuf>> {
    let mut files: BTreeSet<PathBuf> = FILES.map(PathBuf::from).into();
    for entry in fs::read_dir(paths::root().join(PAGES)).context("cannot read the pages")? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.insert(Path::new(PAGES).join(entry.file_name()));
        }
    }
    Ok(files)
}

fn is_page(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "md")
}

/// A page with only the links that lead to `files` or to other hosts. The text of each other link
/// remains, and says that its target is elsewhere.
fn linked(page: &str, file: &Path, files: &BTreeSet<PathBuf>) -> String {
    let mut linked = String::with_capacity(page.len());
    let mut copied = 0;
    for link in links(page) {
        if files.contains(&target(file, link.path())) || link.is_remote() {
            continue;
        }
        linked.push_str(&page[copied..link.begin]);
        linked.push_str(link.text);
        linked.push_str(ELSEWHERE);
        copied = link.end;
    }
    linked + &page[copied..]
}

/// The path in the work tree to which a link on a page leads. A link without a path leads to its page.
fn target(page: &Path, path: &str) -> PathBuf {
    if path.is_empty() {
        return page.to_owned();
    }
    let mut target = page.parent().unwrap_or(page).to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(target.pop()),
            part => target.push(part),
        }
    }
    target
}

/// A link on a page: `[text](target)`.
struct Link<'a> {
    begin: usize,
    end: usize,
    text: &'a str,
    target: &'a str,
}

impl<'a> Link<'a> {
    fn path(&self) -> &'a str {
        self.target.split('#').next().unwrap_or_default()
    }

    fn is_remote(&self) -> bool {
        self.target.contains(':')
    }
}

/// The links of a page, without those in blocks of code.
fn links(page: &str) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    let mut begin = 0;
    for (number, part) in page.split("```").enumerate() {
        if number % 2 == 0 {
            links.extend(part.match_indices("](").filter_map(|(at, _)| link(page, begin + at)));
        }
        begin += part.len() + "```".len();
    }
    links
}

/// The link whose text ends at `at`.
fn link(page: &str, at: usize) -> Option<Link<'_>> {
    let mut depth = 1;
    let (begin, _) = page[..at].char_indices().rev().find(|(_, c)| {
        depth += i32::from(*c == ']') - i32::from(*c == '[');
        depth == 0
    })?;
    let (target, _) = page[at + 2..].split_once(')')?;
    Some(Link {
        begin,
        end: at + 2 + target.len() + 1,
        text: &page[begin + 1..at],
        target,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The anchors of a page: those of its headings, and those that it names.
    fn anchors(page: &str) -> BTreeSet<String> {
        let prose = page.split("```").step_by(2);
        let headings = prose.flat_map(str::lines).filter_map(|line| {
            let title = line.trim_start_matches('#').strip_prefix(' ')?;
            line.starts_with('#').then_some(title)
        });
        let slug = |title: &str| {
            let title = title.trim().to_lowercase().replace(' ', "-");
            title.replace(|c: char| !c.is_alphanumeric() && !"-_".contains(c), "")
        };
        let named = page.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next());
        headings.map(slug).chain(named.map(str::to_owned)).collect()
    }

    /// The links of `files` below `root` that lead to no file or to no heading, and the number of all.
    fn dead(root: &Path, files: &BTreeSet<PathBuf>) -> (Vec<String>, usize) {
        let mut dead = Vec::new();
        let mut count = 0;
        for file in files.iter().filter(|file| is_page(file)) {
            let page = fs::read_to_string(root.join(file)).expect("a page");
            for link in links(&page).iter().filter(|link| !link.is_remote()) {
                count += 1;
                let target = root.join(target(file, link.path()));
                let has_anchor = || {
                    let (_, anchor) = link.target.split_once('#')?;
                    let page = fs::read_to_string(&target).unwrap_or_default();
                    Some(anchors(&page).contains(anchor))
                };
                if !target.exists() || has_anchor() == Some(false) {
                    dead.push(format!("{}: {}", file.display(), link.target));
                }
            }
        }
        (dead, count)
    }

    #[test]
    fn every_link_of_the_documentation_leads_somewhere() {
        let mut files = files().expect("files");
        files.insert("CONTRIBUTING.md".into());
        let (dead, count) = dead(paths::root(), &files);
        assert!(count > 200, "{count}");
        assert_eq!(dead, [""; 0]);
    }

    #[test]
    fn every_link_of_the_packaged_documentation_leads_to_a_packaged_file() {
        let directory = tempfile::tempdir().expect("a directory");
        fill(directory.path()).expect("the documentation");
        let (dead, count) = dead(directory.path(), &files().expect("files"));
        assert!(count > 150, "{count}");
        assert_eq!(dead, [""; 0]);
    }

    #[test]
    fn a_link_out_of_the_packages_becomes_text() {
        let files = ["README.md", "docs/a.md", "docs/b.md"].map(PathBuf::from).into();
        let check = |page: &str, expected: &str| assert_eq!(linked(page, Path::new("docs/a.md"), &files), expected);
        for kept in [
            "[b](b.md#c)",
            "[up](../README.md)",
            "[here](#c)",
            "[`[[d]]`](b.md)",
            "[far](https://a.example)",
            "```\n[code](adr)\n```",
        ] {
            check(kept, kept);
        }
        check("see [`adr/1.md`](adr/1.md#c).", "see `adr/1.md` in the sources.");
        check(
            "[`[[x]]`](../wit) and [b](b.md)",
            "`[[x]]` in the sources and [b](b.md)",
        );
    }
}
