//! The warning about a file with secrets that every user of the machine can read.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nexum_config::document::Section;

/// The right of other users to read a file, and to reach the files of a directory.
const OTHERS_READ: u32 = 0o004;
const OTHERS_ENTER: u32 = 0o001;

/// A warning if the configuration `root`, read from `file`, contains a secret that others can read.
pub(super) fn notice(file: &Path, root: &Section) -> Option<String> {
    let is_exposed = root.has_literal_secret() && can_others_read(file);
    is_exposed.then(|| {
        format!(
            "{file}: every user of this machine can read the secrets in this file: run `chmod o= {file}`, or move \
             them to files with `${{file:PATH}}`",
            file = file.display()
        )
    })
}

/// Whether the modes of the file and of all its directories let every user read the file.
fn can_others_read(file: &Path) -> bool {
    let Ok(file) = file.canonicalize() else {
        return false;
    };
    have_others(&file, OTHERS_READ) && can_others_reach(&file)
}

fn can_others_reach(path: &Path) -> bool {
    let mut directories = path.ancestors().skip(1);
    directories.all(|directory| have_others(directory, OTHERS_ENTER))
}

fn have_others(path: &Path, right: u32) -> bool {
    fs::metadata(path).is_ok_and(|found| found.mode() & right != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use nexum_config::document::{Document, Environment};

    use super::*;

    #[test]
    fn only_a_file_with_secrets_that_all_can_reach_has_the_warning() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("engine.toml");
        // The directory of temporary files can be private.
        let is_reached = can_others_reach(&directory.path().canonicalize().unwrap());
        let key = "[chains.1]\nrpc_url = \"https://a.example/v3/0123456789abcdef\"";
        for (content, directory_mode, mode, is_warned) in [
            (key, 0o755, 0o644, true),
            (key, 0o755, 0o640, false),
            (key, 0o700, 0o644, false),
            ("[engine]", 0o755, 0o644, false),
        ] {
            fs::write(&file, content).unwrap();
            for (path, mode) in [(directory.path(), directory_mode), (&file, mode)] {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
            let document = Document::parse(&file, content.as_bytes(), &Environment::closed()).unwrap();
            let notice = notice(&file, document.root());
            assert_eq!(
                notice.is_some(),
                is_warned && is_reached,
                "{content} {directory_mode:o} {mode:o}"
            );
            assert!(!notice.is_some_and(|text| text.contains("0123456789")));
        }
    }
}
