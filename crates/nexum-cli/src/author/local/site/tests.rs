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
