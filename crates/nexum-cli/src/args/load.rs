//! The files of `nexum run` and `nexum check`.

use std::path::{Path, PathBuf};

use nexum_config::engine::{EntrySource, ModuleConfig};

use super::CONFIG;
use crate::report::Refusal;

/// The extension that tells a manifest and a configuration file from a component.
const TOML: &str = "toml";

#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    /// The configuration file [default: ./engine.toml or /etc/nexum/engine.toml]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The former name of `--config`
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "config")]
    engine_config: Option<PathBuf>,
    /// The manifest of the only component [default: `nexum.toml` or `module.toml` beside it]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Components to run instead of the modules in the configuration. A .toml file after a
    /// component is its manifest, and one more at the end is the configuration file
    #[arg(value_name = "MODULE.wasm")]
    files: Vec<PathBuf>,
}

/// The files that the command line names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// The configuration file.
    pub(crate) config: Option<PathBuf>,
    /// The components, each with its manifest if the command line names one.
    pub(crate) components: Vec<(PathBuf, Option<PathBuf>)>,
    /// Notices of former names.
    pub(crate) notices: Vec<String>,
}

impl Files {
    /// The modules to run instead of those in the configuration.
    pub(crate) fn modules(&self) -> impl Iterator<Item = ModuleConfig> {
        self.components.iter().map(|(component, manifest)| ModuleConfig {
            manifest: manifest.clone().map(Into::into),
            source: EntrySource::CommandLine,
            ..ModuleConfig::new(component.clone())
        })
    }
}

impl Load {
    /// Decides what each file is.
    ///
    /// # Errors
    ///
    /// If two files have one purpose, or a file has none.
    pub(crate) fn files(&self) -> Result<Files, Refusal> {
        let mut files = Files::default();
        for path in &self.files {
            files.take(path)?;
        }
        if let Some(manifest) = &self.manifest {
            files.take_manifest(manifest)?;
        }
        if self.engine_config.is_some() {
            files.notices.push("--engine-config is now called --config".to_owned());
        }
        if let Some(config) = self.config.as_ref().or(self.engine_config.as_ref()) {
            files.take_config(config)?;
        }
        Ok(files)
    }
}

impl Files {
    /// Takes the next file without an option.
    fn take(&mut self, path: &Path) -> Result<(), Refusal> {
        let is_toml = path.extension().is_some_and(|extension| extension == TOML);
        match (self.components.last_mut(), &self.config) {
            (_, Some(config)) if !is_toml => {
                let refusal = Refusal::new(format!(
                    "{} follows the configuration {}",
                    path.display(),
                    config.display()
                ));
                Err(refusal.with_hint("give the configuration last, or with --config"))
            }
            (_, None) if !is_toml => {
                self.components.push((path.to_owned(), None));
                Ok(())
            }
            (None, _) => {
                let refusal = Refusal::new(format!("{} is no component", path.display()));
                Err(refusal.with_hint("give a configuration with --config, and a manifest after its component"))
            }
            (Some((component, None)), _) if path.file_name().is_some_and(|name| name == CONFIG) => {
                let (path, component) = (path.display(), component.display());
                let refusal = Refusal::new(format!("{path} has the place of the manifest of {component}"));
                Err(refusal.with_hint("give a configuration with --config, or after the manifest"))
            }
            (Some((_, manifest @ None)), _) => {
                *manifest = Some(path.to_owned());
                Ok(())
            }
            (Some((_, Some(_))), _) => self.take_config(path),
        }
    }

    /// Takes the file of `--manifest`.
    fn take_manifest(&mut self, path: &Path) -> Result<(), Refusal> {
        match self.components.as_mut_slice() {
            [(_, manifest @ None)] => {
                *manifest = Some(path.to_owned());
                Ok(())
            }
            [(component, Some(manifest))] => {
                let (component, one, other) = (component.display(), manifest.display(), path.display());
                let refusal = Refusal::new(format!("{component} has two manifests: {one} and {other}"));
                Err(refusal.with_hint("give one manifest"))
            }
            [] => {
                let refusal = Refusal::new("--manifest needs a component");
                Err(refusal.with_hint("name the component, or set `manifest` in [[modules]] of engine.toml"))
            }
            several => {
                let count = several.len();
                let refusal = Refusal::new(format!("--manifest is for one component, and there are {count}"));
                Err(refusal.with_hint("give each manifest after its component"))
            }
        }
    }

    fn take_config(&mut self, path: &Path) -> Result<(), Refusal> {
        if let Some(config) = &self.config {
            let (one, other) = (config.display(), path.display());
            let refusal = Refusal::new(format!("there are two configurations: {one} and {other}"));
            return Err(refusal.with_hint("give one configuration"));
        }
        self.config = Some(path.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        load: Load,
    }

    fn files(line: &str) -> Result<Files, String> {
        let words = ["nexum"].into_iter().chain(line.split_whitespace());
        let files = Line::try_parse_from(words).unwrap().load.files();
        files.map_err(|refusal| refusal.to_string())
    }

    fn expected(config: Option<&str>, components: &[(&str, Option<&str>)]) -> Files {
        let components = components.iter();
        Files {
            config: config.map(Into::into),
            components: components
                .map(|(component, manifest)| (component.into(), manifest.map(Into::into)))
                .collect(),
            notices: Vec::new(),
        }
    }

    #[test]
    fn a_file_has_the_purpose_that_its_place_gives_it() {
        let manifest = Some("n.toml");
        for (line, config, components) in [
            ("", None, &[][..]),
            ("a.wasm", None, &[("a.wasm", None)]),
            ("a.wasm b", None, &[("a.wasm", None), ("b", None)]),
            ("a.wasm n.toml", None, &[("a.wasm", manifest)]),
            ("a.wasm n.toml e.toml", Some("e.toml"), &[("a.wasm", manifest)]),
            (
                "a.wasm n.toml engine.toml",
                Some("engine.toml"),
                &[("a.wasm", manifest)],
            ),
            ("a.wasm --manifest n.toml", None, &[("a.wasm", manifest)]),
            (
                "--manifest n.toml a.wasm -c e.toml",
                Some("e.toml"),
                &[("a.wasm", manifest)],
            ),
            ("--config e.toml a.wasm n.toml", Some("e.toml"), &[("a.wasm", manifest)]),
            (
                "a.wasm b.wasm n.toml c.wasm n.toml e.toml",
                Some("e.toml"),
                &[("a.wasm", None), ("b.wasm", manifest), ("c.wasm", manifest)],
            ),
        ] {
            assert_eq!(files(line), Ok(expected(config, components)), "{line}");
        }
        let former = files("--engine-config e.toml a.wasm").unwrap();
        assert_eq!(former.notices, ["--engine-config is now called --config"]);
        assert_eq!(former.config, Some("e.toml".into()));
    }

    #[test]
    fn a_file_without_a_clear_purpose_is_refused() {
        let cases = [
            "e.toml",
            "a.wasm engine.toml",
            "a.wasm n.toml e.toml f.toml",
            "a.wasm n.toml e.toml --config f.toml",
            "a.wasm n.toml e.toml b.wasm",
            "a.wasm n.toml --manifest m.toml",
            "a.wasm b.wasm --manifest n.toml",
            "--manifest n.toml",
        ];
        let report: Vec<_> = cases
            .iter()
            .map(|line| format!("{line}\n  {}", files(line).unwrap_err()))
            .collect();
        insta::assert_snapshot!(report.join("\n"), @r"
        e.toml
          e.toml is no component (give a configuration with --config, and a manifest after its component)
        a.wasm engine.toml
          engine.toml has the place of the manifest of a.wasm (give a configuration with --config, or after the manifest)
        a.wasm n.toml e.toml f.toml
          there are two configurations: e.toml and f.toml (give one configuration)
        a.wasm n.toml e.toml --config f.toml
          there are two configurations: e.toml and f.toml (give one configuration)
        a.wasm n.toml e.toml b.wasm
          b.wasm follows the configuration e.toml (give the configuration last, or with --config)
        a.wasm n.toml --manifest m.toml
          a.wasm has two manifests: n.toml and m.toml (give one manifest)
        a.wasm b.wasm --manifest n.toml
          --manifest is for one component, and there are 2 (give each manifest after its component)
        --manifest n.toml
          --manifest needs a component (name the component, or set `manifest` in [[modules]] of engine.toml)
        ");
    }
}
