//! The errors and warnings of `engine.toml`, as findings.

use crate::report::Refusals;
use crate::report::findings::{Area, Finding};

/// Each error is a failure, and each remark on the file a warning: old names, settings with a risk.
pub(super) fn findings(warnings: &[String], errors: &Refusals) -> Vec<Finding> {
    let area = Area::Configuration;
    let mut findings: Vec<_> = errors.iter().map(|error| error.finding(area, "engine.toml")).collect();
    findings.extend(warnings.iter().map(|warning| area.warning("engine.toml", warning)));
    if findings.is_empty() {
        findings.push(area.ok("engine.toml", "has no errors and no old names"));
    }
    findings
}
