//! The events of an ABI, with the types of their values.

use std::collections::BTreeSet;

use alloy_json_abi::{Event, EventParam, JsonAbi, Param};
use nexum_config::manifest::event_signature;
use serde_json::Value;

/// The most words of a static type, and of all values of an event. A log with more costs more than the
/// 2^24 gas of a transaction (EIP-7825), at 8 gas a byte.
const WORDS_MAX: usize = 1 << 16;

/// The most indexed values: a log has four topics, and the first is the hash of the signature.
const INDEXED_MAX: usize = 3;

/// An event that a module can subscribe to.
#[derive(Debug)]
pub(in crate::template) struct AbiEvent {
    /// The name in the ABI.
    pub(in crate::template) name: String,
    /// The signature whose hash is the first topic.
    pub(in crate::template) signature: String,
    /// The first topic, in hex.
    pub(in crate::template) topic: String,
    pub(in crate::template) inputs: Vec<Input>,
}

/// A value of an event.
#[derive(Debug)]
pub(in crate::template) struct Input {
    /// The name in the ABI, or `arg0` and so on for an input without a name of its own.
    pub(in crate::template) name: String,
    /// The type in the ABI.
    pub(in crate::template) solidity: String,
    pub(in crate::template) indexed: bool,
    pub(in crate::template) kind: Kind,
}

/// The encoding of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::template) enum Kind {
    /// An unsigned number of this many bits.
    Uint(usize),
    /// A signed number of this many bits.
    Int(usize),
    Address,
    Bool,
    /// This many bytes.
    FixedBytes(usize),
    Bytes,
    String,
    /// The hash of an indexed value that has no fixed size of one word.
    Hash,
    /// A static type of this many words, which is not decoded.
    Words(usize),
    /// A dynamic type, which is not decoded.
    Rest,
}

impl AbiEvent {
    /// The events of the ABI that have a signature, and whose logs can exist, in the order of the file.
    pub(super) fn all(items: &Value, abi: &JsonAbi) -> Vec<Self> {
        in_order(items, abi).into_iter().filter_map(Self::of).collect()
    }

    fn of(event: &Event) -> Option<Self> {
        if obstacle(event).is_some() {
            return None;
        }
        let mut inputs: Vec<Input> = Vec::new();
        for (at, param) in event.inputs.iter().enumerate() {
            let is_taken = param.name.is_empty() || inputs.iter().any(|input| input.name == param.name);
            let name = if is_taken {
                format!("arg{at}")
            } else {
                param.name.clone()
            };
            inputs.push(Input {
                name,
                solidity: event_type(param),
                indexed: param.indexed,
                kind: kind(&param.ty, &param.components, param.indexed),
            });
        }
        Some(Self {
            name: event.name.clone(),
            signature: event.signature(),
            topic: event.selector().to_string(),
            inputs,
        })
    }

    /// The value of `event_signature` in a manifest: the signature, or the topic if the manifest cannot have the
    /// signature.
    pub(in crate::template) fn subscription(&self) -> &str {
        match event_signature(&self.signature) {
            Ok(_) => &self.signature,
            Err(_) => &self.topic,
        }
    }

    /// The number of indexed inputs, which are the topics after the first.
    pub(in crate::template) fn indexed(&self) -> usize {
        self.inputs.iter().filter(|input| input.indexed).count()
    }

    /// The event as Solidity writes it, for a comment.
    pub(in crate::template) fn declaration(&self) -> String {
        let input = |input: &Input| {
            let indexed = if input.indexed { " indexed" } else { "" };
            format!("{}{indexed} {}", input.solidity, input.name)
        };
        let inputs: Vec<_> = self.inputs.iter().map(input).collect();
        one_line(&format!("event {}({})", self.name, inputs.join(", ")))
    }

    /// The values that are not topics.
    fn in_data(&self) -> impl Iterator<Item = Kind> {
        let in_data = self.inputs.iter().filter(|input| !input.indexed);
        in_data.map(|input| input.kind)
    }

    /// The number of words before the dynamic values.
    fn head(&self) -> usize {
        self.in_data().map(Kind::words).fold(0, usize::saturating_add)
    }

    /// The data of a log whose values are zero or empty, in hex with 0x.
    pub(in crate::template) fn empty_data(&self) -> String {
        // Every dynamic value is the one zero word after the head.
        let place = format!("{:064x}", self.head() * ZERO_WORD.len() / 2);
        let in_head = self.in_data().map(|kind| match kind.is_dynamic() {
            true => place.clone(),
            false => ZERO_WORD.repeat(kind.words()),
        });
        let tail = if self.in_data().any(Kind::is_dynamic) {
            ZERO_WORD
        } else {
            ""
        };
        format!("0x{}{tail}", in_head.collect::<String>())
    }
}

/// The events of the ABI in the order of the file, and overloaded ones at the place of the first.
pub(super) fn in_order<'a>(items: &Value, abi: &'a JsonAbi) -> Vec<&'a Event> {
    let names = items.as_array().into_iter().flatten().filter_map(|item| {
        let is_event = item.get("type").is_some_and(|kind| kind == "event");
        item.get("name")?.as_str().filter(|_| is_event)
    });
    let mut seen = BTreeSet::new();
    let first = names.filter(|name| seen.insert(*name));
    first
        .flat_map(|name| abi.events.get(name).into_iter().flatten())
        .collect()
}

/// The reason why no module can subscribe to an event, as the end of a sentence about it.
pub(super) fn obstacle(event: &Event) -> Option<String> {
    if event.anonymous {
        return Some("is anonymous".into());
    }
    if let Some(reason) = topics_fault(event) {
        return Some(reason);
    }
    let in_data = event.inputs.iter().filter(|param| !param.indexed);
    let words = in_data.map(|param| kind(&param.ty, &param.components, false).words());
    let words = words.fold(0, usize::saturating_add);
    (words > WORDS_MAX).then(|| format!("has more than {WORDS_MAX} words of data"))
}

/// The reason why no log of the event can exist, as the end of a sentence about it.
pub(super) fn topics_fault(event: &Event) -> Option<String> {
    let indexed = event.inputs.iter().filter(|param| param.indexed).count();
    // Without a signature, one topic more is free.
    let most = INDEXED_MAX + usize::from(event.anonymous);
    (indexed > most).then(|| format!("has {indexed} indexed inputs, and a log has {most} at most"))
}

/// The reason why an item of an ABI cannot be used.
#[derive(Debug)]
pub(super) struct Fault {
    /// The kind of the item with its name.
    pub(super) item: String,
    /// The end of a sentence about the item.
    pub(super) reason: String,
}

/// Checks the types of the events.
pub(super) fn check_types(abi: &JsonAbi) -> Result<(), Fault> {
    for event in abi.events() {
        let mut types = event.inputs.iter().map(|param| (&param.ty, &param.components));
        if let Some(reason) = types.find_map(|(ty, components)| type_fault(ty, components, false)) {
            let item = format!("event {}", event.name);
            return Err(Fault { item, reason });
        }
    }
    Ok(())
}

/// The reason why a type cannot be used, as the end of a sentence about its item.
pub(super) fn type_fault(ty: &str, components: &[Param], is_rust: bool) -> Option<String> {
    let element = ty.split('[').next().unwrap_or_default();
    let is_known = match element {
        "bytes" | "string" | "tuple" => true,
        // `sol!` has no type of a function.
        "function" => !is_rust,
        _ => match one_word(element) {
            Some(Kind::Uint(bits) | Kind::Int(bits)) => bits % 8 == 0,
            kind => kind.is_some(),
        },
    };
    if !is_known {
        return Some(format!("has the type {}, which nexum does not know", one_line(element)));
    }
    if element == "tuple" && components.is_empty() {
        return Some("has a tuple without members".into());
    }
    if is_rust && static_words(ty, components).is_some_and(|words| words > WORDS_MAX) {
        return Some(format!(
            "has the type {}, which has more than {WORDS_MAX} words",
            one_line(ty)
        ));
    }
    let mut components = components.iter();
    components.find_map(|member| type_fault(&member.ty, &member.components, is_rust))
}

impl Kind {
    fn is_dynamic(self) -> bool {
        matches!(self, Self::Bytes | Self::String | Self::Rest)
    }

    /// The number of words that a value has before the dynamic values.
    fn words(self) -> usize {
        match self {
            Self::Words(count) => count,
            _ => 1,
        }
    }
}

/// A word of zeros, in hex.
pub(in crate::template) const ZERO_WORD: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A text without the characters that could end a comment of a line, or continue it on the next.
fn one_line(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_$()[], ".contains(c);
    text.chars().map(|c| if is_plain(c) { c } else { '?' }).collect()
}

/// The type with the members of tuples, as in `(uint256,address)[]`.
fn event_type(param: &EventParam) -> String {
    one_line(&param.selector_type())
}

fn kind(ty: &str, components: &[Param], indexed: bool) -> Kind {
    let kind = match static_words(ty, components) {
        None => match ty {
            "bytes" => Kind::Bytes,
            "string" => Kind::String,
            _ => Kind::Rest,
        },
        Some(1) => one_word(ty).unwrap_or(Kind::Words(1)),
        Some(words) => Kind::Words(words),
    };
    let is_hashed = matches!(kind, Kind::Bytes | Kind::String | Kind::Rest | Kind::Words(_));
    match indexed && is_hashed {
        true => Kind::Hash,
        false => kind,
    }
}

/// A type whose value is one word.
fn one_word(ty: &str) -> Option<Kind> {
    let sized = |prefix: &str, sizes: std::ops::RangeInclusive<usize>| {
        let size = ty.strip_prefix(prefix)?.parse().ok()?;
        sizes.contains(&size).then_some(size)
    };
    match ty {
        "address" => Some(Kind::Address),
        "bool" => Some(Kind::Bool),
        "function" => Some(Kind::FixedBytes(24)),
        _ => sized("uint", 8..=256)
            .map(Kind::Uint)
            .or_else(|| sized("int", 8..=256).map(Kind::Int))
            .or_else(|| sized("bytes", 1..=32).map(Kind::FixedBytes)),
    }
}

/// The number of words of a type before the dynamic values, up to one more than [`WORDS_MAX`], or `None` for a
/// dynamic type.
fn static_words(ty: &str, components: &[Param]) -> Option<usize> {
    let mut element = ty;
    let mut words: usize = 1;
    while let Some((rest, count)) = element.strip_suffix(']').and_then(|ty| ty.rsplit_once('[')) {
        if count.is_empty() {
            return None;
        }
        // A number that does not fit is more than the most words.
        words = words.saturating_mul(count.parse().unwrap_or(usize::MAX));
        element = rest;
    }
    let of_element = match element {
        "bytes" | "string" => return None,
        "tuple" => components.iter().try_fold(0, |sum: usize, member| {
            Some(sum.saturating_add(static_words(&member.ty, &member.components)?))
        })?,
        _ => 1,
    };
    Some(words.saturating_mul(of_element).min(WORDS_MAX + 1))
}
