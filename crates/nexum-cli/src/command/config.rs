//! `nexum config`.

use serde_json::Value;

use crate::args::{Config, ConfigFormat, Files, ShowConfig};
use crate::client::Client;
use crate::client::reload::running;
use crate::configure::{Configuration, configure_state_dir};
use crate::effective::effective;
use crate::exit_code::STOPPED;
use crate::modules::{Plan, Settings};
use crate::protocol::config::{EffectiveConfig, SettingOrigin, ShownSetting};
use crate::report::Refusals;
use crate::report::print::{errln, json_on_stdout, outln};

/// The column at which the origin of a value begins, if the value is not longer.
const ORIGIN_COLUMN: usize = 44;

/// Shows the configuration.
///
/// # Errors
///
/// The errors of the configuration.
pub(crate) fn config(command: Config) -> Result<u8, Refusals> {
    let Config::Show(ShowConfig {
        load,
        effective: has_defaults,
        running: is_running,
        format,
    }) = command;
    let files = load.files()?;
    let shown = match is_running {
        true => of_daemon(&files, has_defaults)?,
        false => of_files(&files, has_defaults)?,
    };
    match format {
        ConfigFormat::Json => json_on_stdout(&shown)?,
        ConfigFormat::Toml => print(&shown),
    }
    Ok(STOPPED)
}

/// The configuration that `nexum run` would read.
fn of_files(files: &Files, has_defaults: bool) -> Result<EffectiveConfig, Refusals> {
    let Plan {
        file,
        config,
        warnings,
        errors,
        ..
    } = Settings::read(files.clone())?.plan();
    if !errors.is_empty() {
        return Err(errors);
    }
    for warning in &warnings {
        errln!("warning: {warning}");
    }
    Ok(effective(&file, config.root.as_ref(), files, has_defaults))
}

/// The configuration of the running daemon.
fn of_daemon(files: &Files, has_defaults: bool) -> Result<EffectiveConfig, Refusals> {
    let Configuration { file, config, .. } = configure_state_dir(files.config.as_deref())?;
    let mut shown = running(&Client::of(&config.state_dir).configured_by(&file))?;
    let is_shown = |setting: &ShownSetting| has_defaults || setting.origin != SettingOrigin::Default;
    shown.settings.retain(is_shown);
    Ok(shown)
}

/// Prints the configuration as TOML, with the origin of each value in a comment.
fn print(shown: &EffectiveConfig) {
    let file = shown.file.as_ref().map(|file| file.display().to_string());
    outln!("# {}", file.as_deref().unwrap_or("There is no configuration file."));
    let name = shown.file.as_ref().and_then(|file| file.file_name());
    let name = name.map(|name| name.to_string_lossy()).unwrap_or_default();
    let mut table = "";
    for setting in &shown.settings {
        if setting.table != table {
            table = &setting.table;
            outln!("\n{}", header(table));
        }
        let line = line(setting);
        outln!("{line:<ORIGIN_COLUMN$}  # {}", origin(&setting.origin, &name));
    }
}

/// The header of a table, for example `[[modules]]` for `modules[0]`.
fn header(table: &str) -> String {
    let mut path = String::new();
    for part in table.split('.') {
        let name = match part.split_once('[') {
            Some((name, _)) if part.ends_with(']') => name,
            _ => part,
        };
        path.push_str(if path.is_empty() { "" } else { "." });
        path.push_str(name);
    }
    match table.ends_with(']') {
        true => format!("[[{path}]]"),
        false => format!("[{path}]"),
    }
}

/// The line of a key. A key without a value is a comment, because TOML has no null.
fn line(setting: &ShownSetting) -> String {
    match &setting.value {
        Value::Null => format!("# {} has no value", setting.key),
        value => format!("{} = {value}", setting.key),
    }
}

/// The origin in words. `file` is the name of the configuration file.
fn origin(origin: &SettingOrigin, file: &str) -> String {
    match origin {
        SettingOrigin::Default => "default".to_owned(),
        SettingOrigin::File { line, references } => {
            let references: String = references.iter().map(|reference| format!(", {reference}")).collect();
            format!("{file}:{line}{references}")
        }
        SettingOrigin::Variable { name } => name.clone(),
        SettingOrigin::CommandLine => "command line".to_owned(),
    }
}
