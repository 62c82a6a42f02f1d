//! Failures that last: which of them the log reports.

use std::time::Duration;

/// The shortest time between two reports of failures: often enough for the last lines of a log to
/// name an outage, and 1,440 lines a day.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Selects the failures to report of an operation that nexum retries without end: the first failure,
/// then one per minute, and the success that ends a reported outage. An operation that fails and
/// recovers many times a minute has at most one report of a failure per minute, too.
///
/// The caller's times come from one clock that never steps back.
#[derive(Debug, Default)]
pub struct Outage {
    current: Option<Current>,
    /// The time of the last report of a failure.
    reported: Option<Duration>,
}

/// The failures since the last success.
#[derive(Debug)]
struct Current {
    since: Duration,
    attempts: u64,
    is_reported: bool,
}

/// The size of an outage, for a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The time since the first failure, in whole seconds.
    pub seconds: u64,
    /// The number of failed attempts.
    pub attempts: u64,
}

impl Outage {
    /// Records a failed attempt. Returns the outage's extent if the log has to report it.
    pub fn failed(&mut self, now: Duration) -> Option<Extent> {
        let current = self.current.get_or_insert(Current {
            since: now,
            attempts: 0,
            is_reported: false,
        });
        current.attempts = current.attempts.saturating_add(1);
        let is_recent = |reported: Duration| now.saturating_sub(reported) < REPORT_INTERVAL;
        if self.reported.is_some_and(is_recent) {
            return None;
        }
        self.reported = Some(now);
        current.is_reported = true;
        Some(current.extent(now))
    }

    /// Records a success. Returns the extent of the outage that it ends, if a failure of the outage
    /// was reported.
    pub fn ended(&mut self, now: Duration) -> Option<Extent> {
        let ended = self.current.take()?;
        ended.is_reported.then(|| ended.extent(now))
    }
}

impl Current {
    fn extent(&self, now: Duration) -> Extent {
        Extent {
            seconds: now.saturating_sub(self.since).as_secs(),
            attempts: self.attempts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails at each of these times, and returns the reports.
    fn reports(outage: &mut Outage, times: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
        let failed = |second| outage.failed(Duration::from_secs(second));
        let reported = times.into_iter().filter_map(failed);
        reported.map(|extent| (extent.seconds, extent.attempts)).collect()
    }

    fn end(outage: &mut Outage, second: u64) -> Option<(u64, u64)> {
        let extent = outage.ended(Duration::from_secs(second))?;
        Some((extent.seconds, extent.attempts))
    }

    #[test]
    fn an_outage_is_reported_when_it_begins_once_a_minute_and_when_it_ends() {
        let mut outage = Outage::default();
        assert_eq!(end(&mut outage, 7), None);
        let reported = reports(&mut outage, 10..=200);
        assert_eq!(reported, [(0, 1), (60, 61), (120, 121), (180, 181)]);
        assert_eq!(end(&mut outage, 205), Some((195, 191)));
        assert_eq!(end(&mut outage, 206), None);
        // A later outage counts from its own first failure.
        assert_eq!(reports(&mut outage, [300, 330, 361]), [(0, 1), (61, 3)]);
        assert_eq!(end(&mut outage, 400), Some((100, 3)));
    }

    #[test]
    fn rare_attempts_are_all_reported() {
        let mut outage = Outage::default();
        assert_eq!(reports(&mut outage, [0, 90, 150]), [(0, 1), (90, 2), (150, 3)]);
    }

    #[test]
    fn many_short_outages_make_one_report_per_minute() {
        let mut outage = Outage::default();
        let (mut failures, mut ends) = (Vec::new(), Vec::new());
        for second in (0..180).step_by(2) {
            failures.extend(reports(&mut outage, [second]).iter().map(|_| second));
            ends.extend(end(&mut outage, second + 1).map(|_| second + 1));
        }
        assert_eq!(failures, [0, 60, 120]);
        assert_eq!(ends, [1, 61, 121]);
    }
}
