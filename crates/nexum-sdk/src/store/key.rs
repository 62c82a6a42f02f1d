//! How names and keys become keys of the host's store.
//!
//! A slash separates the parts. A part has no slash of its own: `%` and `/` are written `%25` and
//! `%2f`. Parts of a fixed width sort as their values do.

use alloy_primitives::{Address, B256, U256, hex};

/// A type that the keys of a [`Map`](super::Map) can have: numbers, text, addresses, hashes, and
/// tuples of them.
///
/// The entries of a map are in the order of their keys, except that `%` and `/` in a text sort as
/// `%25` and `%2f`.
pub trait Key: Sized {
    /// The number of parts of each key, between which [`write`](Self::write) puts a slash. A key that
    /// is no tuple has one part, and no slash of its own.
    const PARTS: usize = 1;

    /// Writes the key. Different keys have different texts.
    fn write(&self, text: &mut String);

    /// Reads a key that [`write`](Self::write) wrote. `None` for any other text.
    fn read(text: &str) -> Option<Self>;
}

/// A key that begins keys of the type `K`.
pub trait StartOf<K>: Key {}

impl<A: Key, B: Key> StartOf<(A, B)> for A {}
impl<A: Key, B: Key, C: Key> StartOf<(A, B, C)> for A {}
impl<A: Key, B: Key, C: Key> StartOf<(A, B, C)> for (A, B) {}

/// The separator between the parts of a key.
pub(super) const SEPARATOR: char = '/';

/// The host's key of a name.
pub(super) fn root(name: &str) -> String {
    let mut text = String::new();
    push_escaped(&mut text, name);
    text
}

/// The beginning of the host's keys below a name.
pub(super) fn below(name: &str) -> String {
    let mut text = root(name);
    text.push(SEPARATOR);
    text
}

pub(super) fn push_escaped(text: &mut String, part: &str) {
    for c in part.chars() {
        match c {
            '%' => text.push_str("%25"),
            '/' => text.push_str("%2f"),
            c => text.push(c),
        }
    }
}

fn unescape(text: &str) -> Option<String> {
    if text.contains(SEPARATOR) {
        return None;
    }
    let mut parts = text.split('%');
    let mut part = parts.next().unwrap_or_default().to_owned();
    for escaped in parts {
        let (c, rest) = match escaped.as_bytes() {
            [b'2', b'5', ..] => ('%', escaped.get(2..)?),
            [b'2', b'f', ..] => ('/', escaped.get(2..)?),
            _ => return None,
        };
        part.push(c);
        part.push_str(rest);
    }
    Some(part)
}

impl Key for String {
    fn write(&self, text: &mut String) {
        push_escaped(text, self);
    }

    fn read(text: &str) -> Option<Self> {
        unescape(text)
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    text.push_str(&hex::encode(bytes));
}

/// Reads digits as [`push_hex`] writes them.
fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_lower = !text.contains(|c: char| c.is_ascii_uppercase() || c == 'x');
    let fits = is_lower && text.len() == 2 * N && hex::decode_to_slice(text, &mut bytes).is_ok();
    fits.then_some(bytes)
}

/// Numbers, written with all of their digits in hex, so that they sort.
macro_rules! number_keys {
    ($($number:ty)*) => {
        $(impl Key for $number {
            fn write(&self, text: &mut String) {
                push_hex(text, &self.to_be_bytes());
            }

            fn read(text: &str) -> Option<Self> {
                read_hex(text).map(Self::from_be_bytes)
            }
        })*
    };
}

number_keys! { u8 u16 u32 u64 u128 }

impl Key for U256 {
    fn write(&self, text: &mut String) {
        push_hex(text, &self.to_be_bytes::<32>());
    }

    fn read(text: &str) -> Option<Self> {
        read_hex(text).map(Self::from_be_bytes::<32>)
    }
}

impl Key for B256 {
    fn write(&self, text: &mut String) {
        text.push_str("0x");
        push_hex(text, self.as_slice());
    }

    fn read(text: &str) -> Option<Self> {
        read_hex(text.strip_prefix("0x")?).map(Self)
    }
}

impl Key for Address {
    fn write(&self, text: &mut String) {
        text.push_str("0x");
        push_hex(text, self.as_slice());
    }

    fn read(text: &str) -> Option<Self> {
        read_hex::<20>(text.strip_prefix("0x")?).map(Self::from)
    }
}

/// Splits a text after the parts of a key.
fn split<K: Key>(text: &str) -> Option<(&str, &str)> {
    let (at, _) = text.match_indices(SEPARATOR).nth(K::PARTS.checked_sub(1)?)?;
    Some((text.get(..at)?, text.get(at + SEPARATOR.len_utf8()..)?))
}

impl<A: Key, B: Key> Key for (A, B) {
    const PARTS: usize = A::PARTS + B::PARTS;

    fn write(&self, text: &mut String) {
        self.0.write(text);
        text.push(SEPARATOR);
        self.1.write(text);
    }

    fn read(text: &str) -> Option<Self> {
        let (a, b) = split::<A>(text)?;
        Some((A::read(a)?, B::read(b)?))
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    const PARTS: usize = A::PARTS + B::PARTS + C::PARTS;

    fn write(&self, text: &mut String) {
        self.0.write(text);
        text.push(SEPARATOR);
        self.1.write(text);
        text.push(SEPARATOR);
        self.2.write(text);
    }

    fn read(text: &str) -> Option<Self> {
        let (a, rest) = split::<A>(text)?;
        let (b, c) = split::<B>(rest)?;
        Some((A::read(a)?, B::read(b)?, C::read(c)?))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;

    use super::*;

    fn text(key: &impl Key) -> String {
        let mut text = String::new();
        key.write(&mut text);
        text
    }

    fn check_round_trip<K: Key + PartialEq + Debug>(key: K) {
        assert_eq!(K::read(&text(&key)), Some(key));
    }

    #[test]
    fn keys_have_these_texts() {
        assert_eq!(text(&(Address::ZERO, 7_u16)), format!("0x{}/0007", "00".repeat(20)));
        assert_eq!(text(&"50%/a".to_owned()), "50%25%2fa");
        assert_eq!(root("a/b"), "a%2fb");
        assert_eq!(below("a"), "a/");
    }

    #[test]
    fn reads_no_other_texts() {
        assert_eq!(u16::read("7"), None);
        assert_eq!(u16::read("00AB"), None);
        assert_eq!(u16::read("0x01"), None);
        assert_eq!(String::read("a/b"), None);
        assert_eq!(String::read("%zz"), None);
        assert_eq!(<(u8, u8)>::read("01"), None);
        assert_eq!(<(u8, u8)>::read("01/02/03"), None);
        assert_eq!(<((u8, u8), u8)>::read("01/02"), None);
        assert_eq!(<((u8, u8), u8)>::read("01/02/03/04"), None);
    }

    proptest! {
        #[test]
        fn keys_come_back(a: String, b: String, n: u64, wide: [u8; 32], account: [u8; 20]) {
            check_round_trip(a.clone());
            check_round_trip((a.clone(), n));
            check_round_trip((n, a.clone(), b));
            check_round_trip((Address::from(account), B256::from(wide)));
            check_round_trip((U256::from_be_bytes(wide), a.clone()));
            check_round_trip(((a.clone(), n), Address::from(account)));
            check_round_trip((n, (a.clone(), n)));
            check_round_trip(((n, a.clone()), (a.clone(), n, n), ((n, n), a)));
        }

        #[test]
        fn numbers_sort_as_their_keys(a: u64, b: u64, c: u8, d: u8) {
            prop_assert_eq!(text(&a).cmp(&text(&b)), a.cmp(&b));
            prop_assert_eq!(text(&(c, a)).cmp(&text(&(d, b))), (c, a).cmp(&(d, b)));
        }

        #[test]
        fn keys_of_different_names_differ(a: String, b: String, key: String) {
            prop_assume!(a != b);
            let entry = |name: &str| below(name) + &text(&key);
            prop_assert!(!entry(&a).starts_with(&below(&b)));
            prop_assert_ne!(entry(&a), root(&b));
        }

        #[test]
        fn no_text_makes_a_reader_panic(text: String) {
            let _ = (u64::read(&text), String::read(&text), <(Address, String, B256)>::read(&text));
        }
    }
}
