//! The synchronisation of the system clock. nexum compares the clock with the heads of chains and with
//! schedules, so a clock that nothing synchronises makes wrong ages and late ticks.

use std::path::Path;

use crate::report::findings::{Area, Finding};

/// The file that systemd-timesyncd makes when it has synchronised the clock since the boot
/// (systemd-timesyncd.service(8)).
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// The directories of the services that synchronise a clock, while they run.
const SERVICES: [(&str, &str); 3] = [
    ("/run/systemd/timesync", "systemd-timesyncd"),
    ("/run/chrony", "chrony"),
    ("/run/ntpd.pid", "ntpd"),
];

/// Looks at the service that synchronises the clock.
pub(super) fn synchronisation() -> Finding {
    let runs = |path: &str| Path::new(path).exists();
    let service = SERVICES.into_iter().find(|(path, _)| runs(path));
    found(runs(SYNCHRONIZED), service.map(|(_, name)| name))
}

fn found(is_synchronised: bool, service: Option<&str>) -> Finding {
    let (area, subject) = (Area::Clock, "synchronisation");
    match (is_synchronised, service) {
        (true, _) => area.ok(subject, "systemd-timesyncd has synchronised the clock since the boot"),
        (false, Some("systemd-timesyncd")) => area
            .warning(
                subject,
                "systemd-timesyncd runs, and has not synchronised the clock since the boot",
            )
            .with_remedy("`timedatectl timesync-status` shows the server, which the firewall may block"),
        (false, Some(service)) => {
            let text = format!("{service} runs, and only it knows the state of the clock");
            area.unknown(subject, text, "`chronyc tracking` or `ntpq --peers` shows the state")
        }
        (false, None) => {
            let text = "no known service synchronises the clock; in a container, that is the task of the host";
            area.unknown(
                subject,
                text,
                "`timedatectl` shows the clock, and `timedatectl set-ntp true` starts a service",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::findings::Verdict;

    #[test]
    fn only_a_clock_that_is_synchronised_is_ok() {
        for (is_synchronised, service, expected, word) in [
            (true, Some("systemd-timesyncd"), Verdict::Ok, "has synchronised"),
            (
                false,
                Some("systemd-timesyncd"),
                Verdict::Warning,
                "has not synchronised",
            ),
            (false, Some("chrony"), Verdict::Unknown, "chrony runs"),
            (false, None, Verdict::Unknown, "no known service"),
        ] {
            let finding = found(is_synchronised, service);
            assert_eq!(
                (finding.state, finding.text.contains(word)),
                (expected, true),
                "{finding:?}"
            );
            assert_eq!(finding.remedy.is_some(), expected != Verdict::Ok, "{finding:?}");
        }
    }
}
