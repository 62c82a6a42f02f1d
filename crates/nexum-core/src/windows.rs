//! A value for the current window of time, and the value for the window before it.

use std::time::Duration;

use tokio::time::Instant;

/// A value of recent time: one for the current window, and one for the window before. Together they
/// cover one to two windows up to the last use.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Windows<T> {
    /// The start of the current window, and its value.
    current: Option<(Instant, T)>,
    /// The value of the window before.
    before: T,
}

impl<T: Copy + Default> Windows<T> {
    /// The value of the window that has `now`. A new window of this length begins after the end of
    /// the current one.
    pub(crate) fn at(&mut self, now: Instant, length: Duration) -> &mut T {
        let begun = self.current.unwrap_or((now, T::default()));
        let (began, value) = match now {
            now if now < begun.0 + length => begun,
            now if now < begun.0 + 2 * length => {
                self.before = begun.1;
                (now, T::default())
            }
            now => {
                self.before = T::default();
                (now, T::default())
            }
        };
        &mut self.current.insert((began, value)).1
    }

    /// The values of both windows.
    pub(crate) fn both(&self) -> [T; 2] {
        let current = self.current.map(|(_, value)| value);
        [self.before, current.unwrap_or_default()]
    }

    /// The value of the window before the current one.
    pub(crate) fn before_mut(&mut self) -> &mut T {
        &mut self.before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_last_for_one_to_two_windows() {
        let (start, length) = (Instant::now(), Duration::from_secs(60));
        let mut windows = Windows::<u64>::default();
        for (second, added, both) in [
            (0, 7, [0, 7]),
            (59, 1, [0, 8]),
            (60, 2, [8, 2]),
            (119, 3, [8, 5]),
            (125, 0, [5, 0]),
            (300, 0, [0, 0]),
        ] {
            *windows.at(start + Duration::from_secs(second), length) += added;
            assert_eq!(windows.both(), both, "after {second} seconds");
        }
    }
}
