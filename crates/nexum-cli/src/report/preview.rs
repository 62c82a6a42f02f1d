//! Bytes of a module, for people.

use super::hex;

/// The first `bytes_max` bytes, as text if all of it is visible.
pub(crate) fn preview(bytes: &[u8], bytes_max: usize) -> String {
    let cut = if bytes.len() > bytes_max { ".." } else { "" };
    let begin = &bytes[..bytes.len().min(bytes_max)];
    // The bound may cut the last character.
    let text = match std::str::from_utf8(begin) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() && !cut.is_empty() => {
            std::str::from_utf8(&begin[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    let is_visible = |c: char| !c.is_control() || c == '\n';
    match text.filter(|text| text.chars().all(is_visible)) {
        Some(text) => format!("{text}{cut}"),
        None => format!("{}{cut}", hex(begin)),
    }
}

#[cfg(test)]
mod tests {
    use super::preview;

    #[test]
    fn bytes_are_text_if_all_of_them_are() {
        for (bytes, max, expected) in [
            (&b"plain"[..], 48, "plain"),
            (b"", 48, ""),
            (b"long text", 4, "long.."),
            ("\u{e4}\u{e4}".as_bytes(), 3, "\u{e4}.."),
            (&[0, 255], 48, "0x00ff"),
            (&[0xff; 4], 2, "0xffff.."),
            (b"\x1b[2J", 48, "0x1b5b324a"),
        ] {
            assert_eq!(preview(bytes, max), expected);
        }
    }
}
