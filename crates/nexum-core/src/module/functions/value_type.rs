//! The types of arguments and results, and their form in JSON.

use std::fmt;

use nexum_config::harmless::harmless;
use serde_json::{Map, Value};

/// The most bytes of a caller's text in a [`Mismatch`]: enough to recognise a name.
const TEXT_BYTES_MAX: usize = 64;

/// The type of an argument or a result: a type of WIT, without names of types and without
/// resources.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueType {
    /// `true` or `false`.
    Bool,
    /// A string of one character.
    Char,
    /// A string.
    String,
    /// An integer without a sign of this many bits.
    Unsigned(u32),
    /// An integer with a sign of this many bits.
    Signed(u32),
    /// A number of 32 or 64 bits.
    Float(u32),
    /// An array.
    List(Box<Self>),
    /// A value or `null`.
    Option(Box<Self>),
    /// An array of as many values.
    Tuple(Vec<Self>),
    /// `{ "ok": value }` or `{ "err": value }`. The value is `null` if the side has no type.
    Result(Option<Box<Self>>, Option<Box<Self>>),
    /// An object with these fields. A missing option is `null`.
    Record(Vec<(String, Self)>),
    /// The name of a case as a string, or `{ "case": value }` for a case with a type.
    Variant(Vec<(String, Option<Self>)>),
    /// One of these strings.
    Enum(Vec<String>),
    /// An array with some of these strings.
    Flags(Vec<String>),
}

/// A JSON value that does not fit its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct Mismatch {
    /// The JSON path of the value: `$.orders[2].amount`.
    pub path: String,
    /// The fault, with the expected type and the value.
    pub problem: String,
}

impl Mismatch {
    /// A fault of the whole text.
    pub(super) fn at_root(problem: impl Into<String>) -> Self {
        Path::root().mismatch(problem.into())
    }
}

/// The JSON path of the current value.
pub(super) struct Path(String);

impl Path {
    pub(super) fn root() -> Self {
        Self("$".to_owned())
    }

    /// Calls `read` with the path of a value inside the current one.
    fn inside<T>(&mut self, step: fmt::Arguments<'_>, read: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.0.len();
        // Writing to a string does not fail.
        let _ = fmt::Write::write_fmt(&mut self.0, step);
        let value = read(self);
        self.0.truncate(outer);
        value
    }

    fn mismatch(&self, problem: String) -> Mismatch {
        Mismatch {
            path: self.0.clone(),
            problem,
        }
    }

    fn expected(&self, expected: impl fmt::Display, found: &Value) -> Mismatch {
        self.mismatch(format!("expected {expected}, found {}", Found(found)))
    }
}

impl ValueType {
    /// Checks a value, and returns it with `null` for each missing option.
    pub(super) fn complete(&self, value: Value, path: &mut Path) -> Result<Value, Mismatch> {
        match self {
            Self::Option(_) if value.is_null() => Ok(value),
            Self::Option(inner) => inner.complete(value, path),
            Self::List(inner) => match value {
                Value::Array(items) => elements(items, |_| inner, path),
                other => Err(path.expected("an array", &other)),
            },
            Self::Tuple(inner) => match value {
                Value::Array(items) if items.len() == inner.len() => elements(items, |index| &inner[index], path),
                other => Err(path.expected(format_args!("an array of {} values", inner.len()), &other)),
            },
            Self::Record(fields) => match value {
                Value::Object(named) => {
                    let fields = fields.iter().map(|(name, value_type)| (name.as_str(), value_type));
                    complete_fields(fields, named, "field", path)
                }
                other => Err(path.expected("an object", &other)),
            },
            Self::Result(ok, err) => {
                let side = |name: &str| match name {
                    "ok" => Some(ok.as_deref()),
                    "err" => Some(err.as_deref()),
                    _ => None,
                };
                case(value, side, Form::AlwaysObject, "an object with `ok` or `err`", path)
            }
            Self::Variant(cases) => {
                let find = |name: &str| {
                    let found = cases.iter().find(|(case, _)| case == name);
                    found.map(|(_, value_type)| value_type.as_ref())
                };
                case(
                    value,
                    find,
                    Form::StringWithoutValue,
                    &format!("a case of {self}"),
                    path,
                )
            }
            Self::Flags(flags) => match value {
                Value::Array(items) => set_of(flags, items, path),
                other => Err(path.expected("an array", &other)),
            },
            scalar if scalar.has(&value) => Ok(value),
            scalar => Err(path.expected(scalar, &value)),
        }
    }

    /// Whether a type without inner types has this value.
    fn has(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool, Value::Bool(_)) | (Self::String, Value::String(_)) => true,
            (Self::Char, Value::String(text)) => text.chars().count() == 1,
            (Self::Enum(names), Value::String(text)) => names.contains(text),
            (Self::Unsigned(bits), Value::Number(number)) => {
                number.as_u64().is_some_and(|number| number <= u64::MAX >> (64 - bits))
            }
            (Self::Signed(bits), Value::Number(number)) => number
                .as_i64()
                .is_some_and(|number| (i64::MIN >> (64 - bits)..=i64::MAX >> (64 - bits)).contains(&number)),
            (Self::Float(32), Value::Number(number)) => number
                .as_f64()
                .is_some_and(|number| number.abs() <= f64::from(f32::MAX)),
            (Self::Float(_), Value::Number(_)) => true,
            _ => false,
        }
    }
}

/// Checks the values of an object against its fields. `what` is the word for a field.
pub(super) fn complete_fields<'a>(
    fields: impl Iterator<Item = (&'a str, &'a ValueType)>,
    mut named: Map<String, Value>,
    what: &str,
    path: &mut Path,
) -> Result<Value, Mismatch> {
    let mut complete = Map::new();
    let mut names = Vec::new();
    for (name, value_type) in fields {
        names.push(name);
        let value = match named.remove(name) {
            Some(value) => path.inside(format_args!(".{name}"), |path| value_type.complete(value, path))?,
            None if matches!(value_type, ValueType::Option(_)) => Value::Null,
            None => return Err(path.mismatch(format!("the {what} `{name}` is missing"))),
        };
        complete.insert(name.to_owned(), value);
    }
    match named.keys().next() {
        None => Ok(Value::Object(complete)),
        Some(unknown) => {
            let known = match names.is_empty() {
                true => format!("there are no {what}s"),
                false => format!("the {what}s are {}", names.join(", ")),
            };
            Err(path.mismatch(format!("there is no {what} `{}`: {known}", short(unknown))))
        }
    }
}

fn elements<'a>(
    items: Vec<Value>,
    value_type: impl Fn(usize) -> &'a ValueType,
    path: &mut Path,
) -> Result<Value, Mismatch> {
    let items = items.into_iter().enumerate();
    let items = items
        .map(|(index, item)| path.inside(format_args!("[{index}]"), |path| value_type(index).complete(item, path)));
    Ok(Value::Array(items.collect::<Result<_, _>>()?))
}

/// The JSON of a case without a type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `{ "case": null }`.
    AlwaysObject,
    /// `"case"`.
    StringWithoutValue,
}

/// Checks a value with one of several cases. `find` returns the type of a case, if there is such a
/// case.
fn case<'a>(
    value: Value,
    find: impl Fn(&str) -> Option<Option<&'a ValueType>>,
    form: Form,
    expected: &str,
    path: &mut Path,
) -> Result<Value, Mismatch> {
    let without_value = |name: &str| form == Form::StringWithoutValue && find(name) == Some(None);
    match value {
        Value::String(name) if without_value(&name) => Ok(Value::String(name)),
        Value::Object(mut named) if named.len() == 1 => {
            let Some(name) = named.keys().next().cloned() else {
                return Err(path.expected(expected, &Value::Object(named)));
            };
            let inner = named.remove(&name).unwrap_or_default();
            let inner = match find(&name) {
                Some(Some(value_type)) => {
                    path.inside(format_args!(".{name}"), |path| value_type.complete(inner, path))?
                }
                Some(None) if form == Form::AlwaysObject && inner.is_null() => inner,
                _ => {
                    let problem = format!("expected {expected}, found an object with `{}`", short(&name));
                    return Err(path.mismatch(problem));
                }
            };
            named.insert(name, inner);
            Ok(Value::Object(named))
        }
        other => Err(path.expected(expected, &other)),
    }
}

/// Checks an array of distinct flags.
fn set_of(flags: &[String], items: Vec<Value>, path: &mut Path) -> Result<Value, Mismatch> {
    for (index, item) in items.iter().enumerate() {
        let is_known = item.as_str().is_some_and(|name| flags.iter().any(|flag| flag == name));
        let problem = match (is_known, items[..index].contains(item)) {
            (true, false) => continue,
            (true, true) => "the flag is there twice".to_owned(),
            (false, _) => format!("expected a flag of {}, found {}", flags.join(", "), Found(item)),
        };
        return Err(path.inside(format_args!("[{index}]"), |path| path.mismatch(problem)));
    }
    Ok(Value::Array(items))
}

/// The start of a caller's text.
fn short(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    let dots = if end < text.len() { ".." } else { "" };
    format!("{}{dots}", harmless(&text[..end]))
}

/// The kind of a value, with its content if it is short.
struct Found<'a>(&'a Value);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Number(number) => write!(f, "the number {number}"),
            Value::String(text) => write!(f, "the string `{}`", short(text)),
            Value::Array(items) => write!(f, "an array of {} values", items.len()),
            Value::Object(_) => f.write_str("an object"),
        }
    }
}

/// The type as WIT writes it.
impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Char => f.write_str("char"),
            Self::String => f.write_str("string"),
            Self::Unsigned(bits) => write!(f, "u{bits}"),
            Self::Signed(bits) => write!(f, "s{bits}"),
            Self::Float(bits) => write!(f, "f{bits}"),
            Self::List(inner) => write!(f, "list<{inner}>"),
            Self::Option(inner) => write!(f, "option<{inner}>"),
            Self::Tuple(inner) => list(f, "tuple<", inner, ">", |f, inner| inner.fmt(f)),
            Self::Result(None, None) => f.write_str("result"),
            Self::Result(Some(ok), None) => write!(f, "result<{ok}>"),
            Self::Result(None, Some(err)) => write!(f, "result<_, {err}>"),
            Self::Result(Some(ok), Some(err)) => write!(f, "result<{ok}, {err}>"),
            Self::Record(fields) => list(f, "record { ", fields, " }", |f, (name, value_type)| {
                write!(f, "{name}: {value_type}")
            }),
            Self::Variant(cases) => list(f, "variant { ", cases, " }", |f, (name, value_type)| match value_type {
                Some(value_type) => write!(f, "{name}({value_type})"),
                None => f.write_str(name),
            }),
            Self::Enum(names) => list(f, "enum { ", names, " }", |f, name| f.write_str(name)),
            Self::Flags(names) => list(f, "flags { ", names, " }", |f, name| f.write_str(name)),
        }
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    begin: &str,
    items: &[T],
    end: &str,
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_str(begin)?;
    for (index, item) in items.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { ", " })?;
        write(f, item)?;
    }
    f.write_str(end)
}
