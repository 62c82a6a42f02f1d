//! Dates in the API's format.

/// Formats milliseconds since the Unix epoch, for example as `2020-12-03T18:35:18.814Z`.
pub(super) fn iso_8601(ms: u64) -> String {
    let (days, of_day) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (hours, minutes) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (seconds, ms) = (of_day / 1_000 % 60, of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z")
}

/// The year, month and day of a number of days since 1 January 1970.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1_970;
    while days >= year_days(year) {
        days -= year_days(year);
        year += 1;
    }
    let february = year_days(year) - 337;
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

fn year_days(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    365 + u64::from(leap)
}

#[cfg(test)]
mod tests {
    use super::iso_8601;

    #[test]
    fn writes_dates() {
        for (ms, date) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_606_934_118_814, "2020-12-02T18:35:18.814Z"),
            (1_609_459_199_000, "2020-12-31T23:59:59.000Z"),
            (1_609_459_200_000, "2021-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso_8601(ms), date, "{ms}");
        }
    }
}
