//! The errors and warnings of `engine.toml`, as findings.

use crate::configure::ConfigFile;
use crate::report::Refusals;
use crate::report::findings::{Area, Finding};

/// Each error is a failure, and each remark on the file a warning: old names, settings with a risk.
pub(super) fn findings(file: &ConfigFile, warnings: &[String], errors: &Refusals) -> Vec<Finding> {
    let (area, subject) = (Area::Configuration, file.path().display());
    let mut findings: Vec<_> = errors.iter().map(|error| error.finding(area, &subject)).collect();
    findings.extend(warnings.iter().map(|warning| area.warning(&subject, warning)));
    if findings.is_empty() {
        findings.push(area.ok(&subject, "has no errors and no old names"));
    }
    findings
}
