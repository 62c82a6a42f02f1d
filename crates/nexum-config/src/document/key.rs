//! The full path of a key as errors show it: `chains.1.rpc_url`, `modules[0].path`.

use std::borrow::Cow;

/// How many characters of a key an error shows. A longer name gets no nearest known name.
pub(crate) const KEY_CHARS_MAX: usize = 64;

/// The path from a section to a value below it.
#[derive(Clone, Copy)]
pub(crate) enum KeyPath<'a> {
    /// The section, with its full path.
    Section(&'a str),
    /// A key of a table.
    Key(&'a KeyPath<'a>, &'a str),
    /// An element of an array.
    Index(&'a KeyPath<'a>, usize),
}

impl KeyPath<'_> {
    /// The full path as text.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Section(path) => (*path).to_owned(),
            Self::Key(parent, key) => join(&parent.text(), key),
            Self::Index(parent, index) => format!("{}[{index}]", parent.text()),
        }
    }
}

/// The path `path` with `key` added.
pub(crate) fn join(path: &str, key: &str) -> String {
    let key = quoted(key);
    if path.is_empty() {
        key.into_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// `key` in TOML's notation, shortened to [`KEY_CHARS_MAX`].
pub(crate) fn quoted(key: &str) -> Cow<'_, str> {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !key.is_empty() && key.len() <= KEY_CHARS_MAX && key.bytes().all(bare) {
        return Cow::Borrowed(key);
    }
    let mut shown: String = key.chars().take(KEY_CHARS_MAX).collect();
    if shown.len() < key.len() {
        shown.push('…');
    }
    Cow::Owned(format!("{shown:?}"))
}

/// The name of `known` that is most similar to `name`, if any is similar enough to be the intended
/// one: they differ in a few letters, or one starts with the other.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > KEY_CHARS_MAX {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let distance = |candidate: &str| {
        let candidate = candidate.to_ascii_lowercase();
        let shorter = name.len().min(candidate.len());
        let begins_like = shorter >= 3 && (candidate.starts_with(&name) || name.starts_with(&candidate));
        let distance = strsim::damerau_levenshtein(&name, &candidate);
        (begins_like || distance <= (shorter / 3).max(1)).then_some(distance)
    };
    let near = known
        .into_iter()
        .filter_map(|candidate| Some((distance(candidate)?, candidate)));
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
