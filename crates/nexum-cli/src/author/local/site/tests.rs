use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

/// The site of a project with this `engine.toml`.
fn site(config: &str) -> (TempDir, Site) {
    let project = tempfile::tempdir().unwrap();
    fs::write(project.path().join(CONFIG), config).unwrap();
    let site = Site::open(project.path(), &project.path().join("build/dev")).unwrap();
    (project, site)
}

fn module(project: &TempDir) -> Module {
    Module {
        name: "watch".parse().unwrap(),
        component: project.path().join("build/watch.wasm"),
        manifest: project.path().join("build/nexum.toml"),
    }
}

#[test]
fn only_its_owner_reads_the_configuration() {
    let (project, site) = site("");
    fs::write(site.config(), "old").unwrap();
    fs::set_permissions(site.config(), fs::Permissions::from_mode(0o644)).unwrap();
    site.write(&module(&project), &LocalChains::default(), false).unwrap();
    let mode = fs::metadata(site.config()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(fs::read_to_string(site.config()).unwrap().contains("state_dir"));
}

#[test]
fn the_state_goes_only_with_another_chain_under_the_id_of_one_of_its_own() {
    let (_project, site) = site("");
    let of = |chains: &[(u64, &str)]| -> Identities {
        let chains = chains.iter().map(|(id, identity)| (*id, (*identity).to_owned()));
        chains.collect()
    };
    let state = site.state_dir().join("state.redb");
    let mut removes = |chains: &[(u64, &str)], is_new| {
        fs::create_dir_all(site.state_dir()).unwrap();
        fs::write(&state, "").unwrap();
        let had_state = site.keep_state_of(&of(chains), is_new).unwrap();
        assert_eq!(had_state, !state.exists());
        assert!(site.is_state_of(&of(chains)));
        had_state
    };
    assert!(
        removes(&[(1, "0xa instance"), (2, "0xb")], false),
        "a state of unknown chains"
    );
    assert!(!removes(&[(2, "0xb"), (1, "0xa instance")], false));
    assert!(!removes(&[(1, "0xa instance")], false), "a chain is left out");
    assert!(!removes(&[(1, "0xa instance"), (3, "0xc")], false), "a chain is added");
    assert!(
        removes(&[(2, "0xd")], false),
        "another chain than before it was left out"
    );
    assert!(!removes(&[(3, "0xe")], false), "the state had nothing of chain 3");
    assert!(removes(&[(2, "0xd")], true), "new chains");
    assert!(!site.is_state_of(&of(&[(2, "0xb")])));
}
