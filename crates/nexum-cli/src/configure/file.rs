//! The choice of the configuration file: one way for all commands.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::args::CONFIG;
use crate::report::Refusal;

/// The configuration file of the system, which packages install.
pub(crate) const SYSTEM_CONFIG: &str = "/etc/nexum/engine.toml";

/// The variable that names the configuration file. `--config` overrides it, and a blank value has
/// no effect.
pub(crate) const CONFIG_VARIABLE: &str = "NEXUM_CONFIG";

/// The configuration file of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    choice: Choice,
}

/// The reason for the choice of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Choice {
    /// `--config` names the file.
    Option,
    /// [`CONFIG_VARIABLE`] names the file.
    Variable,
    /// The file exists in one of the default places.
    Found,
    /// No file is named, and none is in a default place: every setting has its default.
    #[default]
    Absent,
}

impl ConfigFile {
    /// The file `named` by the command line, or else the file of [`CONFIG_VARIABLE`], or else the
    /// first of [`CONFIG`] and [`SYSTEM_CONFIG`] that exists. A place that cannot be examined comes after
    /// the others.
    pub(crate) fn choose(named: Option<&Path>) -> Self {
        let variable = std::env::var_os(CONFIG_VARIABLE);
        Self::choose_from(named, variable, &[Path::new(CONFIG), Path::new(SYSTEM_CONFIG)])
    }

    fn choose_from(named: Option<&Path>, variable: Option<OsString>, defaults: &[&Path]) -> Self {
        let is_blank = |variable: &OsStr| variable.to_str().is_some_and(|text| text.trim().is_empty());
        let variable = variable.filter(|variable| !is_blank(variable));
        // The user may not search every directory: the working directory of `sudo -u nexum nexum status` is often
        // the home of another user. Without a file elsewhere, the error of such a place is the operator's to see.
        let exists = |path: &&&Path| path.try_exists().unwrap_or(false);
        let is_hidden = |path: &&&Path| path.try_exists().is_err();
        let found = || {
            let hidden = || defaults.iter().find(is_hidden);
            defaults.iter().find(exists).or_else(hidden)
        };
        let (path, choice) = match (named, variable) {
            (Some(named), _) => (named.to_owned(), Choice::Option),
            (None, Some(variable)) => (variable.into(), Choice::Variable),
            (None, None) => match found() {
                Some(found) => (found.to_path_buf(), Choice::Found),
                None => (CONFIG.into(), Choice::Absent),
            },
        };
        Self { path, choice }
    }

    /// The path of the file, or of the file in the working directory if there is none.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The absolute path of the file. `None` if there is no file.
    #[cfg(any(test, feature = "runtime"))]
    pub(crate) fn absolute(&self) -> Option<PathBuf> {
        let absolute = || std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        self.exists().then(absolute)
    }

    /// Whether there is a file to read.
    pub(crate) fn exists(&self) -> bool {
        self.choice != Choice::Absent
    }

    /// The notice that every setting has its default. `None` if there is a file.
    pub(crate) fn absence(&self) -> Option<String> {
        (!self.exists()).then(|| {
            format!("there is no {CONFIG} in the working directory or in /etc/nexum: every setting has its default")
        })
    }

    /// The role of the state directory, for the end of an error.
    #[cfg(feature = "runtime")]
    pub(crate) fn state_directory(&self) -> String {
        let path = self.path.display();
        match self.choice {
            Choice::Option | Choice::Found => format!("the state directory of {path}"),
            Choice::Variable => format!("the state directory of {path}, which {CONFIG_VARIABLE} names"),
            Choice::Absent => format!("the default state directory, because there is no {CONFIG}"),
        }
    }

    /// Adds to the error of a file that does not exist who named the file.
    pub(crate) fn missing(&self, refusal: Refusal) -> Refusal {
        match self.choice {
            Choice::Variable => {
                refusal.with_hint(format!("correct or unset the environment variable {CONFIG_VARIABLE}"))
            }
            _ => refusal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_overrides_the_variable_and_both_override_the_places() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("second.toml"), "").unwrap();
        let defaults = [at("first.toml"), at("second.toml")];
        let defaults = [&*defaults[0], &*defaults[1]];
        let choose = |named: Option<&str>, variable: Option<&str>| {
            ConfigFile::choose_from(named.map(Path::new), variable.map(OsString::from), &defaults)
        };
        let chosen = |path: &Path, choice| ConfigFile {
            path: path.to_owned(),
            choice,
        };
        let (option, variable) = (Path::new("o.toml"), Path::new("v.toml"));
        assert_eq!(choose(Some("o.toml"), Some("v.toml")), chosen(option, Choice::Option));
        assert_eq!(choose(None, Some("v.toml")), chosen(variable, Choice::Variable));
        let second = at("second.toml");
        assert_eq!(choose(None, Some(" ")), chosen(&second, Choice::Found));
        assert_eq!(choose(None, None), chosen(&second, Choice::Found));
        std::fs::write(at("first.toml"), "").unwrap();
        assert_eq!(choose(None, None), chosen(&at("first.toml"), Choice::Found));
        // Like a directory that the user may not search, a file cannot be searched.
        let hidden = at("first.toml/engine.toml");
        let beside = |other: &Path| ConfigFile::choose_from(None, None, &[&hidden, other]);
        assert_eq!(beside(&second), chosen(&second, Choice::Found));
        assert_eq!(beside(&at("third.toml")), chosen(&hidden, Choice::Found));
        let nothing = ConfigFile::choose_from(None, None, &[]);
        assert_eq!(nothing, chosen(Path::new("engine.toml"), Choice::Absent));
        assert_eq!(nothing.absolute(), None);
    }
}
