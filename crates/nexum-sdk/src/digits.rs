//! Hexadecimal digits. The loops are simple, because the libraries' take three times the fuel when
//! they are optimised for size.

const LOWER: &[u8; 16] = b"0123456789abcdef";

/// The entry of [`VALUES`] for a byte that is not a digit.
const NO_DIGIT: u8 = 0xff;

/// The value of each digit, in both cases.
static VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        let digit = LOWER[value as usize];
        values[digit as usize] = value;
        values[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    values
}

/// Adds the digits of bytes, in lower case.
pub(crate) fn push(text: &mut Vec<u8>, bytes: &[u8]) {
    let start = text.len();
    text.resize(start + 2 * bytes.len(), 0);
    let (_, added) = text.split_at_mut(start);
    let (pairs, _) = added.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [LOWER[usize::from(byte >> 4)], LOWER[usize::from(byte & 15)]];
    }
}

/// The bytes of digits. `None` for an odd number of digits, or for another character.
pub(crate) fn read(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let mut bytes = Vec::with_capacity(pairs.len());
    // Only `NO_DIGIT` has a high bit.
    let mut seen = 0;
    for [high, low] in pairs {
        let (high, low) = (VALUES[usize::from(*high)], VALUES[usize::from(*low)]);
        seen |= high | low;
        bytes.push(high << 4 | low);
    }
    (seen < 16).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;
    use proptest::prelude::*;

    use super::*;

    fn digits(bytes: &[u8]) -> String {
        let mut text = Vec::new();
        push(&mut text, bytes);
        String::from_utf8(text).expect("ASCII")
    }

    proptest! {
        #[test]
        fn writes_and_reads_what_the_library_does(bytes: Vec<u8>) {
            let text = digits(&bytes);
            prop_assert_eq!(&text, &hex::encode(&bytes));
            prop_assert_eq!(read(&text), Some(bytes.clone()));
            prop_assert_eq!(read(&text.to_uppercase()), Some(bytes));
        }

        #[test]
        fn reads_no_other_text(text: String, digits in "[0-9a-fA-F]{0,8}", at in 0..9_usize, other in "[^0-9a-fA-F]") {
            prop_assert_eq!(read(&text), hex::decode(text.replace("0x", "zz")).ok());
            let mut mixed = digits;
            mixed.insert_str(at.min(mixed.len()), &other);
            prop_assert_eq!(read(&mixed), None);
        }
    }
}
