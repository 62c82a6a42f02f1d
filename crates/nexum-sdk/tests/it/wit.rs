use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The files of a directory of packages, by package and name.
fn files(root: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for package in fs::read_dir(root).expect("the packages") {
        let package = package.expect("a package").path();
        for file in fs::read_dir(&package).expect("the files") {
            let file = file.expect("a file").path();
            let name = file.strip_prefix(root).expect("below the root").display().to_string();
            files.insert(name, fs::read_to_string(&file).expect("text"));
        }
    }
    files
}

/// The crate has a copy of the contract, so that it can be packaged.
#[test]
fn has_the_contract_of_the_repository() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = files(&crate_root.join("wit"));
    assert!(own.contains_key("nexum-host/types.wit"));
    assert_eq!(own, files(&crate_root.join("../../wit")));
}
