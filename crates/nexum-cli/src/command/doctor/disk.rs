//! The disk of the state: free space, and the time of a durable write.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use nexum_config::masked_path::MaskedPath;
use nexum_core::clock::{Clock as _, SystemClock};

use super::rights::as_owner;
use crate::report::findings::{Area, Finding, bytes};

/// The writes that the test makes: enough for a median, in a second on a hard disk.
const WRITES: usize = 16;

/// The bytes of a write: one page, the least that a commit of the state writes.
const WRITE_BYTES: usize = 4_096;

/// The longest median of a durable write without a warning. Each handled event with writes waits for
/// one. A hard disk takes 10 to 20 ms, and a solid-state disk less than 5 ms. With 50 ms, a module
/// handles at most 20 events a second.
const MEDIAN_MAX: Duration = Duration::from_millis(50);

/// The longest single durable write without a warning: a module with a few subscriptions falls
/// behind a chain with a block each second.
const LONGEST_MAX: Duration = Duration::from_secs(1);

/// The free bytes below which a backup, a compaction or a burst of logs can fill the disk.
const FREE_BYTES_LOW: u64 = 1 << 30;

/// The free bytes below which the next growth of the state's file can fail: redb grows its file in
/// steps of this order.
const FREE_BYTES_MIN: u64 = 64 << 20;

/// Looks at the disk of the state directory.
pub(super) fn findings(state_dir: &MaskedPath) -> Vec<Finding> {
    vec![free(state_dir), durable_writes(state_dir)]
}

fn free(state_dir: &MaskedPath) -> Finding {
    match existing(state_dir).and_then(|path| rustix::fs::statvfs(path).ok()) {
        Some(found) => of_free(state_dir, found.f_bavail.saturating_mul(found.f_frsize)),
        None => {
            let text = "the system does not know the free space";
            Area::Disk.unknown(state_dir.display(), text, as_owner(state_dir))
        }
    }
}

fn of_free(state_dir: &MaskedPath, free: u64) -> Finding {
    let (area, shown) = (Area::Disk, state_dir.display());
    let text = format!("{} free", bytes(free));
    let remedy = "free space on the disk, or stop nexum and run `nexum state compact`";
    match free {
        0..FREE_BYTES_MIN => area.failure(shown, text).with_remedy(remedy),
        FREE_BYTES_MIN..FREE_BYTES_LOW => area.warning(shown, text).with_remedy(remedy),
        _ => area.ok(shown, text),
    }
}

/// The path, or the nearest directory above it that exists.
fn existing(path: &Path) -> Option<&Path> {
    let mut above = path.ancestors().map(|path| match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    });
    above.find(|path| path.exists())
}

fn durable_writes(state_dir: &MaskedPath) -> Finding {
    let (area, shown) = (Area::Disk, state_dir.display());
    if !state_dir.exists() {
        let text = "does not exist yet, so no durable write was measured";
        return area.unknown(shown, text, "`nexum run` creates it; then run `nexum doctor` again");
    }
    match measure(state_dir) {
        Ok(times) => of_times(state_dir, times),
        Err(error) => {
            let text = format!("a durable write cannot be measured: {error}");
            area.unknown(shown, text, as_owner(state_dir))
        }
    }
}

fn of_times(state_dir: &MaskedPath, mut times: Vec<Duration>) -> Finding {
    let (area, shown) = (Area::Disk, state_dir.display());
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let longest = times.last().copied().unwrap_or_default();
    let text = format!(
        "a durable write takes {} in the median, and {} at most",
        millis(median),
        millis(longest)
    );
    match median > MEDIAN_MAX || longest > LONGEST_MAX {
        true => area.warning(shown, text).with_remedy(
            "move state_dir to a local solid-state disk, or find what else writes to this disk: `iostat -x 1`",
        ),
        false => area.ok(shown, text),
    }
}

/// The times of [`WRITES`] durable writes to a file without a name, which no end of this process can
/// leave behind.
fn measure(state_dir: &Path) -> io::Result<Vec<Duration>> {
    let mut file: File = tempfile::tempfile_in(state_dir).map_err(|error| io::Error::from(error.kind()))?;
    let clock = SystemClock::new();
    let page = [0x5a; WRITE_BYTES];
    let write = |_| {
        let begin = clock.monotonic_ns();
        file.rewind()?;
        file.write_all(&page)?;
        file.sync_all()?;
        Ok(Duration::from_nanos(clock.monotonic_ns().saturating_sub(begin)))
    };
    (0..WRITES).map(write).collect()
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::findings::Verdict;

    #[test]
    fn little_space_is_a_warning_and_less_is_a_failure() {
        for (free, state, text) in [
            (FREE_BYTES_MIN - 1, Verdict::Failure, "63.9 MiB free"),
            (FREE_BYTES_MIN, Verdict::Warning, "64.0 MiB free"),
            (FREE_BYTES_LOW, Verdict::Ok, "1.0 GiB free"),
        ] {
            let found = of_free(&"data".into(), free);
            assert_eq!((found.state, found.text.as_str()), (state, text));
            assert_eq!(found.remedy.is_some(), state != Verdict::Ok);
        }
    }

    #[test]
    fn slow_writes_are_a_warning() {
        let ms = Duration::from_millis;
        for (times, state, text) in [
            (
                vec![ms(40), ms(2), ms(3)],
                Verdict::Ok,
                "a durable write takes 3.0 ms in the median, and 40.0 ms at most",
            ),
            (
                vec![ms(51), ms(2), ms(60)],
                Verdict::Warning,
                "a durable write takes 51.0 ms in the median, and 60.0 ms at most",
            ),
            (
                vec![ms(1), ms(1), ms(1_001)],
                Verdict::Warning,
                "a durable write takes 1.0 ms in the median, and 1001.0 ms at most",
            ),
        ] {
            let found = of_times(&"data".into(), times);
            assert_eq!((found.state, found.text.as_str()), (state, text));
        }
    }

    #[test]
    fn a_measurement_leaves_no_file_and_has_as_many_times_as_writes() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(measure(directory.path()).unwrap().len(), WRITES);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
