//! The guests of `modules/`, which `cargo xtask guests` builds.

use std::path::{Path, PathBuf};

/// The built component of this guest.
///
/// # Panics
///
/// If the guest is not built; the message names the command that builds it. A test must
/// not pass without its guest.
pub fn component(name: &str) -> PathBuf {
    dir(name).join(format!("{name}.wasm"))
}

/// The directory of this guest, with the component and the `nexum.toml` that pins its digest.
///
/// # Panics
///
/// If the guest is not built.
pub fn dir(name: &str) -> PathBuf {
    built(name, &format!("{name}.wasm"))
}

/// The package of this command from `modules/commands`: a directory with `app.wasm`.
///
/// # Panics
///
/// If the command is not built.
pub fn command(name: &str) -> PathBuf {
    built(name, "app.wasm")
}

fn built(name: &str, file: &str) -> PathBuf {
    let directory = root().join("target/modules").join(name);
    assert!(
        directory.join(file).exists(),
        "the guest {name} is not built; `cargo xtask guests {name}` builds it"
    );
    directory
}

/// The names of all fixtures in `modules/fixtures`, sorted, whether built or not.
///
/// # Panics
///
/// If the directory cannot be read.
pub fn names() -> Vec<String> {
    let fixtures = root().join("modules/fixtures");
    let entries = std::fs::read_dir(&fixtures).unwrap_or_else(|error| panic!("{}: {error}", fixtures.display()));
    let mut names: Vec<_> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Appends a custom section to a component, which changes its digest but not its behaviour.
pub fn with_custom_section(bytes: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    const CUSTOM_SECTION: u8 = 0;
    let mut content = leb128(name.len());
    content.extend_from_slice(name.as_bytes());
    content.extend_from_slice(data);

    let mut component = bytes.to_vec();
    component.push(CUSTOM_SECTION);
    component.extend(leb128(content.len()));
    component.extend(content);
    component
}

/// A length in WebAssembly's encoding.
fn leb128(mut length: usize) -> Vec<u8> {
    const MORE: u8 = 0x80;
    let mut bytes = Vec::new();
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | MORE);
    }
}

/// The root of the work tree, which contains `crates/nexum-testing`.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_fixtures_without_building_them() {
        assert!(names().contains(&"noop".to_owned()));
    }

    #[test]
    fn adds_a_custom_section_at_the_end() {
        assert_eq!(with_custom_section(b"\0asm", "n", b"xy"), b"\0asm\x00\x04\x01nxy");
    }

    #[test]
    fn writes_long_lengths_in_several_bytes() {
        assert_eq!(leb128(624_485), [0xe5, 0x8e, 0x26]);
    }
}
