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
    site.draft(&module(&project), &LocalChains::default(), false)
        .unwrap()
        .publish()
        .unwrap();
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
    let removes = |chains: &[(u64, &str)], is_new| {
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

/// The configuration that nexum writes for a project with this `engine.toml`, as the daemon reads it.
fn written(config: &str) -> (TempDir, DocumentMut) {
    let (project, site) = site(config);
    site.draft(&module(&project), &LocalChains::default(), false)
        .unwrap()
        .publish()
        .unwrap();
    let document = fs::read_to_string(site.config()).unwrap().parse().unwrap();
    (project, document)
}

#[test]
fn old_names_of_chains_are_those_of_their_ids() {
    let config = "[chains.sepolia]\nrpc_url = \"http://127.0.0.1:8546\"\nmax_lag = 1\n[chains.1]\n";
    let (_project, site) = site(config);
    let manifest = Manifest::default();
    let chain = |id, port| ConfiguredChain { id, port };
    assert_eq!(
        site.chains(&manifest).unwrap(),
        [chain(1, None), chain(11_155_111, Some(8546))]
    );
    let (_project, document) = written(config);
    let chains = document["chains"].as_table().unwrap();
    assert!(!chains.contains_key("sepolia"));
    assert_eq!(chains["11155111"]["max_lag"].as_integer(), Some(1));
}

#[test]
fn a_module_in_an_inline_list_keeps_its_configuration() {
    for config in [
        "modules = [{ path = \"build/watch.wasm\", config = { a = \"b\" } }]\n[engine]\n",
        "[[modules]]\npath = \"build/watch.wasm\"\nconfig = { a = \"b\" }\n",
    ] {
        let (project, document) = written(config);
        let module = &document["modules"][0];
        let component = std::path::absolute(project.path().join("build/watch.wasm")).unwrap();
        assert_eq!(module["path"].as_str(), Some(&*text(&component)), "{config}");
        assert_eq!(module["config"]["a"].as_str(), Some("b"), "{config}");
        assert_eq!(document["modules"].as_array_of_tables().unwrap().len(), 1, "{config}");
        assert_eq!(document["engine"]["log_format"].as_str(), Some("json"), "{config}");
    }
}

#[test]
fn the_module_of_the_project_is_listed_if_no_other_is() {
    for config in ["", "modules = []\n"] {
        let (project, document) = written(config);
        let component = text(&project.path().join("build/watch.wasm"));
        assert_eq!(document["modules"][0]["path"].as_str(), Some(&*component), "{config}");
    }
    let (_project, document) = written("modules = 1\n");
    assert_eq!(document["modules"].as_integer(), Some(1));
}

#[test]
fn the_last_build_runs_in_place_of_the_files_to_publish() {
    let (project, site) = site(
        "[[modules]]\npath = \"./build/watch.wasm\"\nmanifest = \"build/nexum.toml\"\n[[modules]]\npath = \"other/watch.wasm\"\n",
    );
    let quick = Module {
        component: project.path().join("build/dev/watch.wasm"),
        manifest: project.path().join("build/dev/nexum.toml"),
        ..module(&project)
    };
    site.draft(&quick, &LocalChains::default(), false)
        .unwrap()
        .publish()
        .unwrap();
    let document: DocumentMut = fs::read_to_string(site.config()).unwrap().parse().unwrap();
    let path = |index: usize, key: &str| document["modules"][index][key].as_str().map(str::to_owned);
    assert_eq!(path(0, "path"), Some(text(&quick.component)));
    assert_eq!(path(0, "manifest"), Some(text(&quick.manifest)));
    assert_eq!(path(1, "path"), Some(text(&project.path().join("other/watch.wasm"))));
}

#[test]
fn the_ports_of_the_project_are_free_for_other_daemons() {
    let config = "[metrics]\nlisten = \"127.0.0.1:9464\"\n[query]\nlisten = \"127.0.0.1:8600\"\n\
                  [engine.metrics]\nenabled = true\n";
    let (project, site) = site(config);
    for once in [false, true] {
        let draft = site.draft(&module(&project), &LocalChains::default(), once).unwrap();
        draft.publish().unwrap();
        let document: DocumentMut = fs::read_to_string(site.config()).unwrap().parse().unwrap();
        assert!(!document.contains_key("metrics"));
        assert!(!document["engine"].as_table().unwrap().contains_key("metrics"));
        assert_eq!(document.contains_key("query"), !once);
    }
}

#[test]
fn a_renamed_module_has_another_file() {
    let old = "[[modules]]\npath = \"build/gas.wasm\"\n";
    let (project, site) = site(old);
    let refused = site.draft(&module(&project), &LocalChains::default(), false);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "engine.toml names build/gas.wasm, and the module is watch (write `path = \"build/watch.wasm\"` in engine.toml)"
    );
    // A module of another project, and one beside the project's own.
    fs::create_dir_all(project.path().join("build")).unwrap();
    for accepted in [
        "[[modules]]\npath = \"../other/build/gas.wasm\"\n".to_owned(),
        format!("{old}[[modules]]\npath = \"build/watch.wasm\"\n"),
    ] {
        fs::write(project.path().join(CONFIG), accepted).unwrap();
        site.draft(&module(&project), &LocalChains::default(), false).unwrap();
    }
}

#[test]
fn an_error_has_the_line_of_the_projects_file() {
    let (project, site) = site("[foo]\n[[modules]]\npath = \"build/watch.wasm\"\n[engine]\nfoo = 1\n");
    let draft = site.draft(&module(&project), &LocalChains::default(), false).unwrap();
    let refused = draft.checked(&site.original_path()).unwrap_err();
    let text = serde_json::to_string(&refused).unwrap();
    let file = project.path().join(CONFIG).display().to_string();
    assert!(text.contains(&format!("{file}:5:")), "{text}");
    assert!(!text.contains("build/dev"), "{text}");
}
