//! Replaces parts of JSON text, and keeps the rest as written.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The most parameters that are parsed: more than any method with a block has.
const PARAMS_MAX: usize = 8;

/// The most members of a filter that are parsed: twice as many as exist.
const MEMBERS_MAX: usize = 16;

/// The text of an array, and the positions of its elements.
pub(super) struct Array<'a> {
    text: &'a str,
    elements: Vec<&'a RawValue>,
}

impl<'a> Array<'a> {
    /// Parses an array of at most [`PARAMS_MAX`] elements.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let elements = serde_json::Deserializer::from_str(text)
            .deserialize_seq(Elements)
            .ok()?;
        Some(Self { text, elements })
    }

    pub(super) fn get(&self, index: usize) -> Option<&'a str> {
        self.elements.get(index).map(|element| element.get())
    }

    /// The text with `new` as the element at `index`.
    pub(super) fn with(&self, index: usize, new: &str) -> Option<String> {
        let place = place(self.text, self.get(index)?)?;
        Some([self.text.get(..place.start)?, new, self.text.get(place.end..)?].concat())
    }

    /// The text with `new` as the element at `index`, if the element is `latest`, or is missing
    /// after the last element.
    pub(super) fn with_latest(&self, index: usize, new: &str) -> Option<String> {
        match self.get(index) {
            Some(element) if is_latest(element) => self.with(index, new),
            None if index > 0 && self.elements.len() == index => {
                let end = place(self.text, self.get(index - 1)?)?.end;
                Some([self.text.get(..end)?, ",", new, self.text.get(end..)?].concat())
            }
            _ => None,
        }
    }
}

/// The members of an object, as written.
pub(super) struct Object<'a> {
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    name: String,
    value: &'a str,
    /// Name, colon and value.
    text: &'a str,
}

impl<'a> Object<'a> {
    /// Parses an object of at most [`MEMBERS_MAX`] members with different names.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let found = serde_json::Deserializer::from_str(text).deserialize_map(Members).ok()?;
        let mut members: Vec<Member<'a>> = Vec::with_capacity(found.len());
        // After the opening brace.
        let mut end = 1;
        for (name, value) in found {
            let value = value.get();
            let place = place(text, value)?;
            if members.iter().any(|before| before.name == name) {
                return None;
            }
            let member = text.get(end..place.end)?;
            let text = member.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
            members.push(Member { name, value, text });
            end = place.end;
        }
        Some(Self { members })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    /// Whether the member is `latest` or missing.
    pub(super) fn is_latest(&self, name: &str) -> bool {
        self.member(name).is_none_or(|member| is_latest(member.value))
    }

    /// The text of each member, except members of these names that are `latest`.
    pub(super) fn without_latest(&self, names: &[&str]) -> Vec<String> {
        let is_left = |member: &&Member<'_>| !(names.contains(&&*member.name) && is_latest(member.value));
        let left = self.members.iter().filter(is_left);
        left.map(|member| member.text.to_owned()).collect()
    }

    fn member(&self, name: &str) -> Option<&Member<'a>> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// Whether a block parameter means the newest block. Null means that the parameter is missing.
fn is_latest(value: &str) -> bool {
    value == "null" || serde_json::from_str::<Cow<'_, str>>(value).is_ok_and(|tag| tag == "latest")
}

/// The position of `part` in `text`.
fn place(text: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= text.len()).then_some(start..end)
}

struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of at most {PARAMS_MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while elements.len() < PARAMS_MAX {
            match seq.next_element()? {
                Some(element) => elements.push(element),
                None => return Ok(elements),
            }
        }
        match seq.next_element::<IgnoredAny>()? {
            Some(_) => Err(serde::de::Error::invalid_length(PARAMS_MAX + 1, &self)),
            None => Ok(elements),
        }
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {MEMBERS_MAX} members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            if members.len() == MEMBERS_MAX {
                return Err(serde::de::Error::invalid_length(MEMBERS_MAX + 1, &self));
            }
            members.push(member);
        }
        Ok(members)
    }
}
