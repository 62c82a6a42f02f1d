//! Arguments of attributes: `key = value`, with the keys and values of a manifest.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, Lit, Result, Token};

use crate::nearest::suggestion;

/// `key = value`.
pub(crate) struct Argument {
    pub(crate) key: Ident,
    pub(crate) value: Expr,
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Self {
            key,
            value: input.parse()?,
        })
    }
}

/// The type of a value.
#[derive(Clone, Copy)]
pub(crate) enum Type {
    Number,
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `0x` and 40 hexadecimal digits.
    Address,
    /// A list of addresses.
    Addresses,
    /// Any list of texts, also nested.
    List,
}

/// A known key, and the type of its value.
pub(crate) type Known = (&'static str, Type);

/// Reads `key = value, ...` to the end of the input. Returns each key with its value as JSON.
pub(crate) fn read(input: ParseStream<'_>, known: &[Known]) -> Result<Vec<(String, String)>> {
    let arguments = Punctuated::<Argument, Token![,]>::parse_terminated(input)?;
    let mut read: Vec<(String, String)> = Vec::new();
    for Argument { key, value } in arguments {
        let name = key.to_string();
        let Some((_, kind)) = known.iter().find(|(known, _)| *known == name) else {
            return Err(Error::new(key.span(), unknown(&name, known)));
        };
        if read.iter().any(|(before, _)| *before == name) {
            return Err(Error::new(key.span(), format!("`{name}` is there twice")));
        }
        read.push((name, json(&value, *kind)?));
    }
    Ok(read)
}

fn unknown(name: &str, known: &[Known]) -> String {
    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    let suggestion = suggestion(name, &names);
    format!("unknown key `{name}`; known keys are {}{suggestion}", names.join(", "))
}

fn json(value: &Expr, kind: Type) -> Result<String> {
    let expected = |what: &str| Error::new(value.span(), format!("expected {what}"));
    match (kind, value) {
        (
            Type::Number,
            Expr::Lit(ExprLit {
                lit: Lit::Int(number), ..
            }),
        ) => Ok(number.base10_parse::<u64>()?.to_string()),
        (Type::Number, _) => Err(expected("a number, such as 1")),
        (Type::Text, _) => text(value).map(|text| quoted(&text)),
        (Type::Word(words), _) => match text(value)? {
            word if words.contains(&word.as_str()) => Ok(quoted(&word)),
            word => {
                let suggestion = suggestion(&word, words);
                Err(expected(&format!("one of {}{suggestion}", words.join(", "))))
            }
        },
        (Type::Address, _) => match text(value)? {
            address if is_address(&address) => Ok(quoted(&address)),
            _ => Err(expected("an address: 0x and 40 hexadecimal digits")),
        },
        (Type::Addresses, Expr::Array(list)) => array(list, |item| json(item, Type::Address)),
        (Type::List, Expr::Array(list)) => array(list, |item| match item {
            Expr::Array(_) => json(item, Type::List),
            item => json(item, Type::Text),
        }),
        (Type::Addresses | Type::List, _) => Err(expected("a list, such as [\"0x...\"]")),
    }
}

fn array(list: &syn::ExprArray, item: impl Fn(&Expr) -> Result<String>) -> Result<String> {
    let items = list.elems.iter().map(item).collect::<Result<Vec<_>>>()?;
    Ok(format!("[{}]", items.join(",")))
}

fn text(value: &Expr) -> Result<String> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text), ..
        }) => ascii(&text.value(), text.span()),
        _ => Err(Error::new(value.span(), "expected a text in quotes")),
    }
}

fn is_address(text: &str) -> bool {
    text.strip_prefix("0x")
        .is_some_and(|digits| digits.len() == 40 && digits.chars().all(|c| c.is_ascii_hexdigit()))
}

/// The section of the component has ASCII only.
pub(crate) fn ascii(text: &str, span: Span) -> Result<String> {
    match text.chars().all(|c| c.is_ascii() && !c.is_ascii_control()) {
        true => Ok(text.to_owned()),
        false => Err(Error::new(span, "expected printable ASCII characters")),
    }
}

/// JSON of a printable ASCII text.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
