//! The versions of interfaces that fit.

use nexum_config::interface::{WASI, bare_name, serves};

#[test]
fn another_patch_release_fits_and_another_version_does_not() {
    let serves_streams = |import: &str| WASI.iter().any(|interface| serves(interface, import));
    for version in ["0.2.0", "0.2.3", "0.2.10", "0.2.99"] {
        assert!(serves_streams(&format!("wasi:io/streams@{version}")), "{version}");
    }
    for import in [
        "wasi:io/streams@0.3.0",
        "wasi:io/streams@1.2.0",
        "wasi:io/streams",
        "wasi:io/other@0.2.0",
    ] {
        assert!(!serves_streams(import), "{import}");
    }
    assert!(serves("a:b/c@1.2.3", "a:b/c@1.9.0"));
    assert_eq!(bare_name("nexum:host/chain@0.2.0"), "chain");
}
