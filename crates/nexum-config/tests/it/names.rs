//! Module names and digests.

use nexum_config::hint::Hint;
use nexum_config::names::{Digest, MODULE_NAME_CHARS_MAX, ModuleName};
use proptest::prelude::*;

#[test]
fn a_module_name_is_short_and_plain() {
    let longest = "a".repeat(MODULE_NAME_CHARS_MAX);
    for name in ["a", "0", "block-logger", "a_b", longest.as_str()] {
        assert_eq!(name.parse::<ModuleName>().unwrap().as_str(), name);
    }
    let too_long = "a".repeat(MODULE_NAME_CHARS_MAX + 1);
    for name in ["", "-a", "_a", "A", "a b", "a/b", "..", "ä", "a\n", too_long.as_str()] {
        assert!(name.parse::<ModuleName>().is_err(), "{name:?}");
    }
}

#[test]
fn a_digest_has_one_spelling() {
    let digest = Digest::of(b"nexum");
    let text = digest.to_string();
    assert_eq!(text.parse(), Ok(digest));
    let error = text.to_uppercase().parse::<Digest>().unwrap_err();
    assert_eq!(error.hint(), Some(format!("write {digest}")));
    for wrong in [
        &text[1..],
        &text[..70],
        "",
        "sha256:",
        &text.replace("sha256", "sha512"),
        &format!("{text}0"),
        &format!(" {text}"),
    ] {
        let error = wrong.parse::<Digest>().unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.hint()),
            (
                "a digest is sha256: followed by 64 hexadecimal digits in lower case",
                Some("write `sha256:` and then the digits that `sha256sum FILE` prints, or omit `digest`".to_owned())
            ),
            "{wrong}"
        );
    }
}

proptest! {
    #[test]
    fn any_digest_comes_back_from_its_text(bytes: Vec<u8>) {
        let digest = Digest::of(&bytes);
        prop_assert_eq!(digest.to_string().parse(), Ok(digest));
    }

    #[test]
    fn any_text_is_parsed_without_a_panic(text: String) {
        let _ = (text.parse::<Digest>(), text.parse::<ModuleName>());
    }
}
