//! Refused arguments and files: exit code 2, one line per error, and no panic.

use crate::Dir;

/// Checks that nexum refuses the arguments. Returns the errors.
fn refused(dir: &Dir, args: &[&str]) -> String {
    let ran = dir.nexum(args);
    assert_eq!(ran.code, Some(2), "{args:?}: {}{}", ran.stdout, ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{args:?}: {}", ran.stderr);
    assert!(ran.stderr.contains("error:"), "{args:?}: {}", ran.stderr);
    ran.stderr
}

#[test]
fn refuses_files_that_are_no_modules() {
    let dir = Dir::new();
    dir.guest("noop");
    let noop = std::fs::read(dir.path().join("noop.wasm")).expect("the guest");
    dir.write("truncated.wasm", &noop[..noop.len() - 100]);
    dir.write("core.wasm", b"\0asm\x01\0\0\0");
    dir.write("other-world.wasm", b"\0asm\x0d\0\x01\0");
    dir.write("random.wasm", [0x5a; 4_096]);
    dir.write("empty.wasm", b"");
    std::fs::create_dir(dir.path().join("directory.wasm")).expect("a directory");
    let files = [
        "truncated.wasm",
        "core.wasm",
        "other-world.wasm",
        "random.wasm",
        "empty.wasm",
        "directory.wasm",
        "missing.wasm",
    ];
    for file in files {
        for command in ["check", "run"] {
            let said = refused(&dir, &[command, file]);
            assert!(said.contains(file), "{said}");
        }
    }
    let said = refused(&dir, &[&["check"], files.as_slice()].concat());
    insta::with_settings!({filters => vec![(r"offset 0x[0-9a-f]+", "offset <offset>")]}, {
        insta::assert_snapshot!(said);
    });
    refused(&dir, &["inspect", "core.wasm"]);
}

/// A component in `levels` levels: each makes two instances of the level below.
fn doubling(levels: u32) -> Vec<u8> {
    let mut text = "(component (component $c0)".to_owned();
    for level in 1..=levels {
        let below = format!("(alias outer 1 $c{} (component $below))", level - 1);
        text +=
            &format!("(component $c{level} {below} (instance (instantiate $below)) (instance (instantiate $below)))");
    }
    wat::parse_str(format!("{text} (instance (instantiate $c{levels})))")).expect("a valid text")
}

#[test]
fn refuses_components_whose_instances_double_per_level() {
    let dir = Dir::new();
    dir.write("bomb.wasm", doubling(24));
    for command in ["check", "run", "inspect", "exec"] {
        let said = refused(&dir, &[command, "bomb.wasm"]);
        // 2^25 - 1 instances.
        let expected = "bomb.wasm makes 33554431 component instances, and the limit is 1000";
        assert!(said.contains(expected), "{command}: {said}");
    }
}

#[test]
fn refuses_components_that_are_nested_too_deep() {
    let dir = Dir::new();
    let empty = b"\0asm\x0d\0\x01\0".to_vec();
    let deep = (0..102).fold(empty.clone(), |inner, _| {
        // A section of nested components, with its size in LEB128.
        let [low, high] = [inner.len() as u8 | 0x80, (inner.len() >> 7) as u8];
        [&*empty, &[4, low, high], &inner].concat()
    });
    dir.write("deep.wasm", deep);
    let said = refused(&dir, &["check", "deep.wasm"]);
    assert!(
        said.contains("deep.wasm nests modules and components in more than 100 levels"),
        "{said}"
    );
}

/// Makes a FIFO without a writer, and a link to a device without an end.
fn fifo_and_device(dir: &Dir, fifo: &str, device: &str) {
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join(fifo), mode).expect("a FIFO");
    std::os::unix::fs::symlink("/dev/zero", dir.path().join(device)).expect("a link");
}

#[test]
fn refuses_fifos_and_devices_as_components() {
    let dir = Dir::new();
    fifo_and_device(&dir, "fifo.wasm", "device.wasm");
    for file in ["fifo.wasm", "device.wasm"] {
        for command in ["check", "run", "inspect", "exec"] {
            let said = refused(&dir, &[command, file]);
            assert!(
                said.contains(&format!("{file} is not a regular file")),
                "{command}: {said}"
            );
        }
    }
}

#[test]
fn refuses_fifos_and_devices_as_configurations_and_manifests() {
    let dir = Dir::new();
    dir.guest("noop");
    fifo_and_device(&dir, "fifo.toml", "device.toml");
    for file in ["fifo.toml", "device.toml"] {
        let expected = format!("error: {file}: is not a regular file\n");
        for command in ["check", "run", "status"] {
            assert_eq!(refused(&dir, &[command, "--config", file]), expected, "{command}");
        }
        dir.write(
            "engine.toml",
            format!("[[modules]]\npath = \"noop.wasm\"\nmanifest = \"{file}\"\n"),
        );
        for command in ["check", "run"] {
            let said = refused(&dir, &[command]);
            // `run` has started its log.
            let errors: Vec<_> = said.lines().filter(|line| !line.contains("nexum::log")).collect();
            assert_eq!(errors, [expected.trim_end()], "{command}");
        }
    }
}

#[test]
fn refuses_fifos_and_devices_as_input() {
    let dir = Dir::new();
    dir.write("engine.toml", "");
    fifo_and_device(&dir, "fifo", "device");
    for file in ["fifo", "device"] {
        let expected = format!("error: {file}: is not a regular file\n  hint: give the content on stdin\n");
        assert_eq!(refused(&dir, &["state", "import", file]), expected);
        assert_eq!(refused(&dir, &["query", "noop", "--input-file", file]), expected);
    }
}

#[test]
fn refuses_manifests_that_make_no_sense() {
    let dir = Dir::new();
    dir.guest("noop");
    let deep = format!("config = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let large = format!("# {}", "x".repeat(10_000_000));
    let not_utf8 = b"[module]\nname = \"\xff\"\n".to_vec();
    let capitals = format!("[module]\ncomponent = \"sha256:{}\"\n", "AB".repeat(32));
    let manifests: [(&str, Vec<u8>); 5] = [
        ("deep", deep.into()),
        ("large", large.into()),
        ("not-utf8", not_utf8),
        ("capitals", capitals.into()),
        (
            "unknown",
            b"[modul]\nname = \"x\"\n[[subscription]]\nkind = \"blok\"\nchain_id = 1\n".to_vec(),
        ),
    ];
    let mut said = String::new();
    for (name, manifest) in manifests {
        dir.write("nexum.toml", manifest);
        said += &format!("== {name}\n{}", refused(&dir, &["check", "noop.wasm"]));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn refuses_configurations_that_make_no_sense() {
    let dir = Dir::new();
    let mut said = String::new();
    for (name, config) in [
        ("no modules", ""),
        ("unknown section", "[chain.1]\nrpc_url = \"http://localhost\"\n"),
        ("absent capability", "[messaging]\nnode = \"localhost\"\n"),
        ("bad url", "[chains.1]\nrpc_url = \"htp://user:secret@node/key\"\n"),
        (
            "unset variable",
            "[chains.1]\nrpc_url = \"https://node/${NEXUM_TEST_UNSET}\"\n",
        ),
        (
            "bad level",
            "[engine]\nlog_level = \"=\"\n[[modules]]\npath = \"x.wasm\"\n",
        ),
    ] {
        dir.write("engine.toml", config);
        said += &format!("== {name}\n{}", refused(&dir, &["run"]));
    }
    assert!(!said.contains("secret"), "{said}");
    insta::assert_snapshot!(said);
}

#[test]
fn a_named_configuration_must_be_there() {
    let dir = Dir::new();
    dir.guest("noop");
    let said = refused(&dir, &["check", "--config", "missing.toml", "noop.wasm"]);
    assert!(said.contains("missing.toml"), "{said}");
}

#[test]
fn two_modules_of_one_name_are_refused() {
    let dir = Dir::new();
    dir.guest("noop");
    let said = refused(&dir, &["check", "noop.wasm", "noop.wasm"]);
    assert!(said.contains("two modules are called `noop`"), "{said}");
}
