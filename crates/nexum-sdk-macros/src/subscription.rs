//! The attributes of handlers, and the subscriptions that follow from them.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Error, LitStr, Meta, Result, Token, Type as RustType};

use crate::arguments::{self, Known, Type, ascii, quoted};
use crate::schedule;
use crate::scope::Scope;

const CHAIN: [Known; 4] = [
    ("chain_id", Type::Number),
    ("confirmations", Type::Number),
    ("finality", Type::Word(&["latest", "safe", "finalized"])),
    ("from_block", Type::Number),
];
const CATCH_UP: Known = ("catch_up", Type::Word(&["all", "latest"]));
const CONTRACT: [Known; 3] = [
    ("address", Type::Address),
    ("addresses", Type::Addresses),
    ("topics", Type::List),
];
const SIGNATURE: Known = ("event_signature", Type::Text);
const MISSED: Known = ("missed", Type::Word(&["skip", "once"]));
const CONTENT_TOPIC: Known = ("content_topic", Type::Text);

/// The kind of a handler.
#[derive(Clone)]
pub(crate) enum Kind {
    Block,
    Event(Box<RustType>),
    Logs,
    Tick,
    Message,
    Query,
}

/// The names of the attributes.
pub(crate) const ATTRIBUTES: [&str; 6] = ["on_block", "on_event", "on_logs", "on_tick", "on_message", "query"];

impl Kind {
    /// The name of the attribute.
    pub(crate) fn attribute(&self) -> &'static str {
        match self {
            Self::Block => "on_block",
            Self::Event(_) => "on_event",
            Self::Logs => "on_logs",
            Self::Tick => "on_tick",
            Self::Message => "on_message",
            Self::Query => "query",
        }
    }

    /// The attribute with its event.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Event(event) => format!("on_event({})", quote!(#event)),
            kind => kind.attribute().to_owned(),
        }
    }

    /// A correct handler of this kind.
    pub(crate) fn example(&self) -> String {
        match self {
            Self::Block => "fn on_block(&mut self, block: Block) -> Result".into(),
            Self::Event(event) => format!("fn on_event(&mut self, event: Decoded<{}>) -> Result", quote!(#event)),
            Self::Logs => "fn on_logs(&mut self, logs: Vec<Log>) -> Result".into(),
            Self::Tick => "fn on_tick(&mut self, tick: Tick) -> Result".into(),
            Self::Message => "fn on_message(&mut self, message: Message) -> Result".into(),
            Self::Query => "fn query(&mut self, input: Vec<u8>) -> Result<Vec<u8>>".into(),
        }
    }
}

/// A part of the manifest's text: JSON, or the type whose signature follows.
pub(crate) enum Part {
    Text(String),
    Signature(Box<RustType>),
}

/// The subscription of an attribute.
#[derive(Default)]
pub(crate) struct Subscription {
    /// The table of the manifest. A query has none.
    pub(crate) parts: Vec<Part>,
    pub(crate) scope: Scope,
}

/// A handler's attribute: its kind and its subscription.
pub(crate) fn read(name: &str, attribute: &Attribute) -> Result<(Kind, Subscription)> {
    let parse = |input: ParseStream<'_>| match name {
        "on_block" => {
            let known = [&CHAIN[..], &[CATCH_UP]].concat();
            Ok((Kind::Block, table("block", &arguments::read(input, &known)?)))
        }
        "on_event" => event(input),
        "on_logs" => {
            let known = [&CHAIN[..], &CONTRACT, &[SIGNATURE]].concat();
            Ok((Kind::Logs, table("log", &arguments::read(input, &known)?)))
        }
        "on_tick" => tick(input),
        "on_message" => {
            let read = arguments::read(input, &[CONTENT_TOPIC])?;
            Ok((Kind::Message, table("message", &read)))
        }
        _ => match input.is_empty() {
            true => Ok((Kind::Query, Subscription::default())),
            false => Err(Error::new(input.span(), "`#[query]` takes no arguments")),
        },
    };
    match &attribute.meta {
        Meta::List(list) => parse.parse2(list.tokens.clone()),
        Meta::Path(path) => parse
            .parse2(TokenStream::new())
            .map_err(|error| Error::new_spanned(path, error)),
        Meta::NameValue(_) => Err(Error::new_spanned(
            attribute,
            format!("write the arguments in parentheses: `#[{name}(...)]`"),
        )),
    }
}

fn event(input: ParseStream<'_>) -> Result<(Kind, Subscription)> {
    if input.is_empty() || input.peek2(Token![=]) {
        let error = "say which event: `#[on_event(Transfer)]`, with a type from `sol!`";
        return Err(Error::new(input.span(), error));
    }
    let event: RustType = input.parse()?;
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    let read = arguments::read(input, &[&CHAIN[..], &CONTRACT].concat())?;
    let mut parts = vec![
        Part::Text("{\"kind\":\"log\",\"event_signature\":\"".into()),
        Part::Signature(Box::new(event.clone())),
    ];
    parts.push(Part::Text(format!("\"{}}}", members(&read))));
    let scope = Scope::of(&read);
    Ok((Kind::Event(Box::new(event)), Subscription { parts, scope }))
}

fn tick(input: ParseStream<'_>) -> Result<(Kind, Subscription)> {
    if !input.peek(LitStr) {
        return Err(
            input.error("say when: `#[on_tick(\"*/5 * * * *\")]`, with minute, hour, day, month and weekday in UTC")
        );
    }
    let literal: LitStr = input.parse()?;
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    let text = ascii(&literal.value(), literal.span())?;
    schedule::check(&text).map_err(|error| Error::new_spanned(literal, error))?;
    let mut read = vec![("schedule".to_owned(), quoted(&text))];
    read.extend(arguments::read(input, &[MISSED])?);
    Ok((Kind::Tick, table("cron", &read)))
}

fn table(kind: &str, read: &[(String, String)]) -> Subscription {
    Subscription {
        parts: vec![Part::Text(format!("{{\"kind\":\"{kind}\"{}}}", members(read)))],
        scope: Scope::of(read),
    }
}

fn members(read: &[(String, String)]) -> String {
    read.iter().map(|(key, json)| format!(",\"{key}\":{json}")).collect()
}
