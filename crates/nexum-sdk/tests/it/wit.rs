use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The name of each package, with the names and texts of its files.
fn packages(root: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut packages = BTreeMap::new();
    for package in fs::read_dir(root).expect("the packages") {
        let package = package.expect("a package");
        let files: &mut BTreeMap<_, _> = packages.entry(name(&package)).or_default();
        for file in fs::read_dir(package.path()).expect("the files") {
            let file = file.expect("a file");
            files.insert(name(&file), fs::read_to_string(file.path()).expect("text"));
        }
    }
    packages
}

fn name(entry: &fs::DirEntry) -> String {
    entry.file_name().to_string_lossy().into_owned()
}

/// The crate has copies of the packages that it uses, so that it can be packaged.
#[test]
fn has_the_contract_of_the_repository() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = packages(&crate_root.join("wit"));
    let mut repository = packages(&crate_root.join("../../wit"));
    repository.retain(|name, _| own.contains_key(name));
    assert_eq!(own.keys().collect::<Vec<_>>(), ["nexum-host", "shepherd-cow"]);
    assert_eq!(own, repository);
}
