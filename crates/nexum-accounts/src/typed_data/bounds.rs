//! Checks of typed data before its decoding.
//!
//! The decoder follows the types that the guest defines. A few hundred bytes of types can stand for
//! millions of fields, or for an array that is thousands of levels deep. Names appear in the text
//! that is hashed, so a name with a comma could make one struct look like another.

use std::collections::{BTreeMap, BTreeSet};

use alloy_dyn_abi::DynSolType;
use serde_json::{Map, Value};

use super::TypedDataError;

/// The most types of typed data. Orders and permits have up to five.
pub const TYPES_MAX: usize = 64;

/// The most fields of one type. The largest known struct has thirty.
pub const FIELDS_MAX: usize = 128;

/// The most bytes of all names of types and fields together. The text is hashed for each element of
/// an array of structs.
pub const TYPES_BYTES_MAX: usize = 8 << 10;

/// The longest name of a type or a field, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// The most levels of arrays in the type of one field.
pub const ARRAYS_MAX: usize = 4;

/// The most fields of the primary type, with those of the structs in it.
pub const EXPANDED_FIELDS_MAX: usize = 1_024;

/// The most values of a message. A batch of a hundred orders has two thousand.
pub const VALUES_MAX: usize = 4_096;

/// The name of the type of the domain.
const DOMAIN: &str = "EIP712Domain";

/// The keys of a domain with their types, in the order of EIP-712.
const DOMAIN_FIELDS: [(&str, &str); 5] = [
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
];

/// Checks the shape and the bounds of typed data.
pub(super) fn check(value: &Value) -> Result<(), TypedDataError> {
    let data = value
        .as_object()
        .ok_or_else(|| shape("the typed data is not a JSON object"))?;
    for key in data.keys() {
        if !matches!(&**key, "types" | "primaryType" | "domain" | "message") {
            return Err(shape(
                "the typed data has a key other than types, primaryType, domain and message",
            ));
        }
    }
    let types = object(data, "types")?;
    let domain = object(data, "domain")?;
    let message = object(data, "message")?;
    let primary_type = data.get("primaryType").and_then(Value::as_str);
    let primary_type = primary_type.ok_or_else(|| shape("primaryType is not a string"))?;
    if primary_type == DOMAIN {
        return Err(shape("a domain alone is not signed: primaryType is EIP712Domain"));
    }
    let types = Types::read(types)?;
    if !types.0.contains_key(primary_type) {
        return Err(shape("types has no struct with the name of primaryType"));
    }
    check_domain(domain, types.0.get(DOMAIN))?;
    types.expanded(primary_type, &mut Vec::new())?;
    count(message.values(), &mut 0)
}

/// The fields of each struct, as pairs of name and type.
struct Types<'a>(BTreeMap<&'a str, Vec<(&'a str, &'a str)>>);

impl<'a> Types<'a> {
    fn read(types: &'a Map<String, Value>) -> Result<Self, TypedDataError> {
        if types.len() > TYPES_MAX {
            return Err(shape(format!("there are more than {TYPES_MAX} types")));
        }
        let mut read = BTreeMap::new();
        let mut bytes = 0;
        for (name, fields) in types {
            if !is_type_name(name) || is_elementary(name) {
                return Err(shape("the name of a struct is not an identifier"));
            }
            let fields = fields
                .as_array()
                .ok_or_else(|| shape(format!("the type {name} is not a list of fields")))?;
            if fields.len() > FIELDS_MAX {
                return Err(shape(format!("the type {name} has more than {FIELDS_MAX} fields")));
            }
            bytes += name.len();
            let fields: Vec<_> = fields
                .iter()
                .map(|field| field_of(name, field))
                .collect::<Result<_, _>>()?;
            let names: BTreeSet<_> = fields.iter().map(|(name, _)| name).collect();
            if names.len() < fields.len() {
                return Err(shape(format!("the type {name} has two fields with one name")));
            }
            bytes += fields.iter().map(|(name, ty)| name.len() + ty.len() + 2).sum::<usize>();
            if bytes > TYPES_BYTES_MAX {
                return Err(shape(format!("the types have more than {TYPES_BYTES_MAX} bytes")));
            }
            read.insert(name.as_str(), fields);
        }
        Ok(Self(read))
    }

    /// The number of fields of a struct, with those of the structs in it. `outer` has the structs
    /// around it.
    fn expanded(&self, name: &'a str, outer: &mut Vec<&'a str>) -> Result<usize, TypedDataError> {
        if outer.contains(&name) {
            return Err(shape(format!("the type {name} contains itself")));
        }
        let Some(fields) = self.0.get(name) else {
            return match is_elementary(name) {
                true => Ok(1),
                false => Err(shape(format!("types has no struct {name}"))),
            };
        };
        outer.push(name);
        let mut sum = 1;
        for (_, ty) in fields {
            let root = ty.split('[').next().unwrap_or_default();
            sum += self.expanded(root, outer)?;
            if sum > EXPANDED_FIELDS_MAX {
                return Err(shape(format!("primaryType has more than {EXPANDED_FIELDS_MAX} fields")));
            }
        }
        outer.pop();
        Ok(sum)
    }
}

/// A field as its name and its type.
fn field_of<'a>(of: &str, field: &'a Value) -> Result<(&'a str, &'a str), TypedDataError> {
    let text = |key| field.get(key).and_then(Value::as_str);
    let (Some(name), Some(ty)) = (text("name"), text("type")) else {
        return Err(shape(format!("a field of the type {of} has no name or no type")));
    };
    let (root, arrays) = ty.split_at(ty.find('[').unwrap_or(ty.len()));
    if !is_identifier(name) || !is_type_name(root) {
        return Err(shape(format!(
            "a name or a type of a field of the type {of} is not an identifier"
        )));
    }
    if !are_arrays(arrays) {
        return Err(shape(format!(
            "a field of the type {of} is an array of another form than [] and [n], or has more than {ARRAYS_MAX} levels"
        )));
    }
    Ok((name, ty))
}

/// Whether a text is `[]` or `[n]` up to [`ARRAYS_MAX`] times.
fn are_arrays(text: &str) -> bool {
    let mut rest = text;
    for _ in 0..ARRAYS_MAX {
        let Some(inside) = rest.strip_prefix('[') else { break };
        let Some((length, after)) = inside.split_once(']') else {
            return false;
        };
        let is_length =
            length.len() <= 4 && length.bytes().all(|byte| byte.is_ascii_digit()) && !length.starts_with('0');
        if !is_length {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// Whether a text is a name of Solidity.
fn is_identifier(text: &str) -> bool {
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$'));
    let consists_well = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$'));
    begins_well && consists_well && text.len() <= NAME_BYTES_MAX
}

/// Whether a text is the name of a type. Some programs put a colon into it.
fn is_type_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX && text.split(':').all(is_identifier)
}

/// Whether a name is that of an elementary type, such as `uint256`.
fn is_elementary(name: &str) -> bool {
    DynSolType::parse(name).is_ok()
}

/// Checks the domain, and its type if there is one.
fn check_domain(domain: &Map<String, Value>, ty: Option<&Vec<(&str, &str)>>) -> Result<(), TypedDataError> {
    for key in domain.keys() {
        if !DOMAIN_FIELDS.iter().any(|(known, _)| known == key) {
            return Err(shape(
                "the domain has a key other than name, version, chainId, verifyingContract and salt",
            ));
        }
    }
    let present = DOMAIN_FIELDS
        .into_iter()
        .filter(|(key, _)| domain.get(*key).is_some_and(|value| !value.is_null()));
    match ty {
        Some(ty) if !present.eq(ty.iter().copied()) => Err(shape(
            "the type EIP712Domain and the domain have different keys, or the keys are in another order",
        )),
        _ => Ok(()),
    }
}

/// Counts the values of a message.
fn count<'a>(values: impl Iterator<Item = &'a Value>, counted: &mut usize) -> Result<(), TypedDataError> {
    for value in values {
        *counted += 1;
        if *counted > VALUES_MAX {
            return Err(shape(format!("the message has more than {VALUES_MAX} values")));
        }
        match value {
            Value::Array(values) => count(values.iter(), counted)?,
            Value::Object(fields) => count(fields.values(), counted)?,
            _ => {}
        }
    }
    Ok(())
}

fn object<'a>(data: &'a Map<String, Value>, key: &str) -> Result<&'a Map<String, Value>, TypedDataError> {
    let found = data.get(key).and_then(Value::as_object);
    found.ok_or_else(|| shape(format!("{key} is missing or is not an object")))
}

fn shape(text: impl Into<String>) -> TypedDataError {
    TypedDataError::Shape(text.into())
}
