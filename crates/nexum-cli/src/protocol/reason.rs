//! The reason of a command, in a header of its request.

/// The header with the reason: UTF-8 text, percent-encoded (RFC 3986, section 2.1).
pub(crate) const REASON_HEADER: &str = "nexum-reason";

/// The most bytes of a reason: a few sentences, which fit into one log record.
pub(crate) const REASON_BYTES_MAX: usize = 500;

/// The text as the value of the header.
pub(crate) fn encoded(reason: &str) -> String {
    let byte = |byte: u8| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    reason.trim().bytes().map(byte).collect()
}

/// The text in the value of the header. `None` if the value is not percent-encoded UTF-8.
pub(crate) fn decoded(value: &[u8]) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = value.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            b'%' => {
                let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                bytes.push(u8::try_from(high << 4 | low).ok()?);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_comes_as_it_was_given() {
        for (reason, value) in [
            ("a new build", "a new build"),
            ("50 % größer", "50 %25 gr%C3%B6%C3%9Fer"),
            ("two\nlines", "two%0Alines"),
        ] {
            assert_eq!(encoded(reason), value);
            assert_eq!(decoded(value.as_bytes()).as_deref(), Some(reason));
        }
        for value in [&b"%"[..], b"%4", b"%zz", b"%ff", b"\xff", b"%+1"] {
            assert_eq!(decoded(value), None, "{value:?}");
        }
    }
}
