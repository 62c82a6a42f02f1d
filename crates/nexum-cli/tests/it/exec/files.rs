//! A command's access to files.

use std::os::unix::fs::symlink;

use super::{preview_1, went};
use crate::Dir;

/// A directory `given` with a file and links, beside a file that is not given.
fn dir() -> Dir {
    let dir = Dir::new();
    for name in ["given", "given/below"] {
        std::fs::create_dir(dir.path().join(name)).expect("a directory");
    }
    dir.write("given/file", "inside");
    dir.write("secret", "outside");
    let absolute = dir.path().join("secret");
    symlink("../secret", dir.path().join("given/up")).expect("a link");
    symlink(absolute, dir.path().join("given/absolute")).expect("a link");
    symlink("..", dir.path().join("given/parent")).expect("a link");
    symlink("file", dir.path().join("given/link")).expect("a link");
    dir
}

/// Runs each of these errands, which nexum must refuse.
fn refused(dir: &Dir, options: &[&str], errands: &[&[&str]]) {
    for (line, errand) in went(dir, options, errands).iter().zip(errands) {
        assert!(line.starts_with("refused: "), "{options:?} {errand:?}: {line}");
    }
}

#[test]
fn sees_the_directories_that_it_is_given() {
    let dir = dir();
    let whole: &[(&[&str], &str)] = &[
        (&["read", "/data/file"], "ok: \"inside\""),
        (&["read", "/data/link"], "ok: \"inside\""),
        (&["read", "/data/below/../file"], "ok: \"inside\""),
        (&["list", "/data"], "ok: 6"),
        (&["write", "/data/below/one", "1"], "ok: ()"),
        (&["remove", "/data/file"], "ok: ()"),
    ];
    let two: &[(&[&str], &str)] = &[(&["list", "/a"], "ok: 6"), (&["write", "/b/two", "2"], "ok: ()")];
    for (options, errands) in [
        (
            &["--dir", "given::."][..],
            &[(&["read", "file"][..], "ok: \"inside\"")][..],
        ),
        (&["--dir", "given::/data:ro"], &whole[..4]),
        (&["--dir", "given::/a:ro", "--dir", "given/below::/b"], two),
        (&["--dir", "given::/data"], whole),
    ] {
        let (args, expected): (Vec<_>, Vec<_>) = errands.iter().copied().unzip();
        assert_eq!(went(&dir, options, &args), expected, "{options:?}");
    }
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).ok();
    assert_eq!(read("given/below/two").as_deref(), Some("2"));
    assert_eq!(read("given/file"), None);
}

#[test]
fn sees_nothing_else() {
    let dir = dir();
    let secret = dir.path().join("secret").display().to_string();
    refused(
        &dir,
        &[],
        &[
            &["read", "given/file"],
            &["read", &secret],
            &["list", "/"],
            &["write", "new", "x"],
        ],
    );
    refused(
        &dir,
        &["--dir", "given::/data"],
        &[
            &["read", &secret],
            &["read", "/secret"],
            &["read", "/data/../secret"],
            &["read", "/data/below/../../secret"],
            &["read", "/data/up"],
            &["read", "/data/absolute"],
            &["read", "/data/parent/secret"],
            &["list", "/data/.."],
            &["list", "/data/parent"],
            &["write", "/data/../new", "x"],
            &["write", "/data/up", "x"],
            &["write", "/data/parent/new", "x"],
            &["remove", "/data/parent/secret"],
        ],
    );
    assert_eq!(std::fs::read_to_string(secret).expect("a file"), "outside");
    assert!(!dir.path().join("new").exists());
}

#[test]
fn changes_nothing_in_what_it_may_only_read() {
    let dir = dir();
    refused(
        &dir,
        &["--dir", "given::/data:ro"],
        &[
            &["write", "/data/file", "changed"],
            &["write", "/data/new", "x"],
            &["write", "/data/link", "x"],
            &["remove", "/data/file"],
            &["remove", "/data/link"],
        ],
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join("given/file")).expect("a file"),
        "inside"
    );
    assert!(!dir.path().join("given/new").exists());
}

/// The exit code is the error of preview 1 for opening a path below the first directory.
#[test]
fn a_preview_1_command_has_the_same_files() {
    const GIVEN: &[&str] = &["--dir", "given::/data"];
    const BAD_DESCRIPTOR: i32 = 8;
    const NOT_PERMITTED: i32 = 63;
    let dir = dir();
    for (options, path, code) in [
        (GIVEN, "file", 0),
        (GIVEN, "link", 0),
        (GIVEN, "../secret", NOT_PERMITTED),
        (GIVEN, "up", NOT_PERMITTED),
        (GIVEN, "absolute", NOT_PERMITTED),
        (GIVEN, "parent/secret", NOT_PERMITTED),
        (&[], "file", BAD_DESCRIPTOR),
    ] {
        let open = format!(
            "(call $exit (call $path_open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const {}) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 512)))",
            path.len()
        );
        dir.write("opens", preview_1(path, &open));
        let ran = dir.nexum(&[&["exec"], options, &["opens"]].concat());
        assert_eq!(ran.code, Some(code), "{path}: {}", ran.stderr);
    }
}
