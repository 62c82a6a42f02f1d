//! Modes and owners of the state directory and of the files with tokens.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nexum_config::engine::Config;
use nexum_config::masked_path::MaskedPath;
use rustix::process::geteuid;
use serde::Deserialize;

use crate::configure::RIGHTS_REFUSED;
use crate::contract::ADMIN_SECTION;
use crate::report::findings::{Area, Finding};

/// The bits of a file's mode that `chmod` sets.
pub(super) const MODE_BITS: u32 = 0o7777;

/// The rights of every user but the owner.
const OTHERS: u32 = 0o077;

/// The right of the group to read.
const GROUP_READS: u32 = 0o040;

/// The most files that one finding names: the rest have the same remedy.
const NAMED_MAX: usize = 5;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Admin {
    token_file: Option<PathBuf>,
}

/// Looks at the state directory and the token file.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = vec![state_directory(&config.state_dir)];
    let admin = config.sections.get(ADMIN_SECTION);
    if let Some(section) = admin {
        let read = section.only(&["token_file"]).parse::<Admin>().unwrap_or_default();
        // The text of the path can have the content of a variable.
        findings.extend(read.token_file.map(|path| token_file(&path, section.file())));
    }
    findings
}

fn state_directory(state_dir: &MaskedPath) -> Finding {
    let (area, shown) = (Area::Rights, state_dir.display());
    let found = match fs::metadata(&**state_dir) {
        Ok(found) => found,
        Err(error) => {
            let text = format!("cannot be read: {error}");
            let remedy = "`nexum run` creates it; if it ran before, name its configuration with --config";
            return area.unknown(shown, text, remedy);
        }
    };
    let user = geteuid().as_raw();
    if found.uid() != user && user != 0 {
        let text = format!("belongs to user {}, and this command runs as user {user}", found.uid());
        return area.unknown(shown, text, as_owner(state_dir));
    }
    let open = open_to_others(state_dir);
    if open.is_empty() {
        return area.ok(shown, format!("only user {} and root can read it", found.uid()));
    }
    let more = match open.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = open.get(..NAMED_MAX).unwrap_or(&open).join(", ");
    area.warning(shown, format!("other users have rights to {named}{more}"))
        .with_remedy(format!("chmod -R go= {}", quoted(state_dir)))
}

/// The directory and the files in it to which other users have rights, each with its mode. The
/// socket has a finding of its own.
fn open_to_others(state_dir: &MaskedPath) -> Vec<String> {
    let mode = |path: &Path| fs::symlink_metadata(path).ok().map(|found| found.mode() & MODE_BITS);
    // Other users reach no file of a directory to which they have no rights.
    let Some(own) = mode(state_dir).filter(|mode| mode & OTHERS != 0) else {
        return Vec::new();
    };
    let mut open = vec![format!(". ({own:04o})")];
    let entries = fs::read_dir(&**state_dir).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file() || kind.is_dir()))
        .filter_map(|entry| {
            let mode = mode(&entry.path()).filter(|mode| mode & OTHERS != 0)?;
            Some(format!("{} ({mode:04o})", entry.file_name().to_string_lossy()))
        })
        .collect();
    files.sort();
    open.append(&mut files);
    open
}

fn token_file(path: &Path, file: &Path) -> Finding {
    let (area, subject) = (Area::Rights, "admin.token_file");
    let directory = file.parent().unwrap_or(Path::new(""));
    match fs::metadata(directory.join(path)) {
        Err(error) => area.failure(subject, format!("cannot be read: {error}")).with_remedy(
            "create the file with a long random token, for example `openssl rand -hex 32`, and the mode 0600",
        ),
        Ok(found) if found.mode() & RIGHTS_REFUSED != 0 => area
            .failure(
                subject,
                format!(
                    "other users can read or change the file (mode {:04o})",
                    found.mode() & MODE_BITS
                ),
            )
            .with_remedy("chmod g-w,o= on the file that admin.token_file names, and then replace the token"),
        Ok(found) if found.mode() & GROUP_READS != 0 => {
            let (user, group) = (found.uid(), found.gid());
            area.ok(subject, format!("only user {user}, group {group} and root can read it"))
        }
        Ok(found) => area.ok(subject, format!("only user {} and root can read it", found.uid())),
    }
}

/// How to run this command as the owner of the state directory.
pub(super) fn as_owner(state_dir: &MaskedPath) -> String {
    match fs::metadata(&**state_dir) {
        Ok(found) => format!("sudo -u '#{}' nexum doctor", found.uid()),
        Err(_) => "run this command as the user that runs nexum".to_owned(),
    }
}

/// A path as a word of a shell. The shell replaces a variable in it, as nexum does.
pub(super) fn quoted(path: &MaskedPath) -> String {
    let path = path.display().to_string();
    match path.contains("${") {
        true => format!("\"{path}\""),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::report::findings::Verdict;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_token_that_others_can_read_is_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let engine = directory.path().join("engine.toml");
        let look = || token_file(Path::new("token"), &engine);
        assert_eq!(look().state, Verdict::Failure);
        fs::write(directory.path().join("token"), "x").unwrap();
        let token = directory.path().join("token");
        for mode in [0o644, 0o660, 0o640, 0o440, 0o600] {
            set_mode(&token, mode);
            let found = look();
            // The daemon judges in the same way.
            let is_refused = mode & RIGHTS_REFUSED != 0;
            assert_eq!(found.state == Verdict::Failure, is_refused, "{mode:o}: {}", found.text);
        }
        set_mode(&token, 0o644);
        assert_eq!(look().text, "other users can read or change the file (mode 0644)");
        set_mode(&token, 0o640);
        let ids = fs::metadata(&token).unwrap();
        let expected = format!("only user {}, group {} and root can read it", ids.uid(), ids.gid());
        assert_eq!((look().state, look().text), (Verdict::Ok, expected));
    }

    #[test]
    fn the_remedy_names_the_files_that_are_open_to_others() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("it's");
        fs::create_dir(&state).unwrap();
        for (name, mode) in [("a", 0o644), ("b", 0o600)] {
            fs::write(state.join(name), "").unwrap();
            set_mode(&state.join(name), mode);
        }
        set_mode(&state, 0o755);
        let found = state_directory(&state.clone().into());
        assert_eq!(
            (found.state, found.text.as_str()),
            (Verdict::Warning, "other users have rights to . (0755), a (0644)")
        );
        let remedy = found.remedy.unwrap();
        assert!(remedy.ends_with(r"it'\''s'"), "{remedy}");
        let status = std::process::Command::new("sh").args(["-c", &remedy]).status();
        assert!(status.unwrap().success());
        assert_eq!(state_directory(&state.into()).state, Verdict::Ok);
    }
}
