//! The findings of `nexum doctor`: what it looked at, what it saw, and the remedy.

use nexum_config::harmless::harmless;
use serde::Serialize;

use super::print::outln;
use super::{Refusal, Refusals, count};
use crate::exit_code::{FAILED, STOPPED};

/// A part of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Area {
    /// The program itself.
    Build,
    /// `engine.toml`.
    Configuration,
    /// The files of the modules.
    Modules,
    /// Modes and owners of files.
    Rights,
    /// The file system of the state directory.
    Disk,
    /// The database of the state.
    Database,
    /// The running daemon.
    Daemon,
    /// The limits of the process.
    Limits,
    /// The memory of the machine.
    Memory,
    /// The endpoints of the chains.
    #[cfg_attr(
        not(feature = "chain"),
        allow(dead_code, reason = "a build without chains looks at no endpoint")
    )]
    Endpoints,
    /// The clock of the machine.
    Clock,
}

/// The outcome of one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Nothing to do.
    Ok,
    /// nexum runs, but worse than it could, or with a risk.
    Warning,
    /// nexum or a module cannot run until you change this.
    Failure,
    /// nexum could not look, for the reason in the text.
    Unknown,
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) area: Area,
    /// The file, module, endpoint or limit.
    pub(crate) subject: String,
    pub(crate) state: Verdict,
    /// The observation, in a sentence.
    pub(crate) text: String,
    /// A command or a sentence that helps. None for a finding without a fault.
    pub(crate) remedy: Option<String>,
}

impl Area {
    fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Configuration => "configuration",
            Self::Modules => "modules",
            Self::Rights => "rights",
            Self::Disk => "disk",
            Self::Database => "database",
            Self::Daemon => "daemon",
            Self::Limits => "limits",
            Self::Memory => "memory",
            Self::Endpoints => "endpoints",
            Self::Clock => "clock",
        }
    }

    fn finding(self, state: Verdict, subject: impl ToString, text: impl Into<String>) -> Finding {
        Finding {
            area: self,
            subject: subject.to_string(),
            state,
            text: text.into(),
            remedy: None,
        }
    }

    pub(crate) fn ok(self, subject: impl ToString, text: impl Into<String>) -> Finding {
        self.finding(Verdict::Ok, subject, text)
    }

    pub(crate) fn warning(self, subject: impl ToString, text: impl Into<String>) -> Finding {
        self.finding(Verdict::Warning, subject, text)
    }

    pub(crate) fn failure(self, subject: impl ToString, text: impl Into<String>) -> Finding {
        self.finding(Verdict::Failure, subject, text)
    }

    /// A finding without a look, with the step that makes the look possible.
    pub(crate) fn unknown(self, subject: impl ToString, text: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(Verdict::Unknown, subject, text).with_remedy(remedy)
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::Unknown => "unknown",
        }
    }
}

impl Refusals {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.0.iter()
    }
}

impl Refusal {
    /// The error as a failure, with its hint as the remedy.
    pub(crate) fn finding(&self, area: Area, subject: impl ToString) -> Finding {
        Finding {
            remedy: self.hint.clone(),
            ..area.failure(subject, &self.error)
        }
    }
}

impl Finding {
    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// The exit code for these findings: 1 if one is a failure.
pub(crate) fn exit_code(findings: &[Finding]) -> u8 {
    match findings.iter().any(|finding| finding.state == Verdict::Failure) {
        true => FAILED,
        false => STOPPED,
    }
}

/// Prints the findings, and a count.
pub(crate) fn print(findings: &[Finding]) {
    outln!("{}", text(findings));
}

/// A line for each finding, and below it its remedy. A line is whole, however narrow the terminal is, so
/// that you can search the output, and copy a command.
pub(crate) fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let (subject, seen) = (harmless(&finding.subject), finding.text.replace('\n', " "));
        let (state, area) = (finding.state.word(), finding.area.word());
        text.push_str(&format!("{state:<8} {area:<14} {subject}: {}\n", harmless(&seen)));
        // The remedy of a finding that is ok is for an operator who needs more.
        if finding.state != Verdict::Ok
            && let Some(remedy) = &finding.remedy
        {
            text.push_str(&format!("  hint: {}\n", harmless(remedy)));
        }
    }
    let of = |state: Verdict| findings.iter().filter(|finding| finding.state == state).count();
    text.push_str(&format!(
        "\n{}, {}, {} unknown, {} ok",
        count(of(Verdict::Failure), "failure"),
        count(of(Verdict::Warning), "warning"),
        of(Verdict::Unknown),
        of(Verdict::Ok)
    ));
    text
}

/// A number of bytes in the largest unit of which there is one.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = UNITS.into_iter().find(|(shift, _)| bytes >> shift > 0);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(shift, unit)| {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failure_fails() {
        let area = Area::Disk;
        let mut findings = vec![area.ok("a", "x"), area.warning("b", "x"), area.unknown("c", "x", "y")];
        assert_eq!(exit_code(&findings), STOPPED);
        findings.push(area.failure("d", "x"));
        assert_eq!(exit_code(&findings), FAILED);
    }

    #[test]
    fn bytes_have_the_largest_unit() {
        for (count, expected) in [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_024, "1.0 KiB"),
            (1_610_612_736, "1.5 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(count), expected);
        }
    }

    #[test]
    fn a_finding_and_its_remedy_have_a_line_each() {
        let findings = [
            Area::Build.ok("nexum 0.1.0", "author, runtime, chain"),
            Area::Disk.ok("/var/lib/nexum", "12.0 GiB free"),
            Area::Rights
                .warning("/var/lib/nexum", "two\nlines\u{1b}[2J")
                .with_remedy("chmod -R go= '/var/lib/nexum'"),
            Area::Endpoints
                .failure(
                    "1 https://eth.example.org:8545",
                    "does not answer: the endpoint cannot be reached: error sending request: connection refused",
                )
                .with_remedy("curl -sS https://eth.example.org:8545, and check the address, the key and the firewall"),
            Area::Clock.unknown(
                "system clock",
                "no endpoint gave a head to compare the clock with",
                "`timedatectl` shows the clock",
            ),
        ];
        insta::assert_snapshot!("findings", text(&findings));
    }
}
