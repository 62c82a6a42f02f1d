//! A limiter for rates.

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// A token bucket with the tokens of one second. It starts full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// The time in which one token returns, in nanoseconds.
    share_ns: u64,
    /// The time until the bucket is full again, in nanoseconds, at the time `at_ns` of a monotonic
    /// clock.
    missing_ns: u64,
    at_ns: u64,
}

impl Bucket {
    /// Creates a bucket for `count` tokens per second, from one to a million.
    pub(crate) fn per_second(count: u64) -> Self {
        Self {
            share_ns: (NANOSECONDS_PER_SECOND / count.max(1)).max(1),
            missing_ns: 0,
            at_ns: 0,
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// If there is no token, returns the wait for the next one in nanoseconds.
    pub(crate) fn take(&mut self, now_ns: u64) -> Result<(), u64> {
        self.missing_ns = self.missing_ns.saturating_sub(now_ns.saturating_sub(self.at_ns));
        self.at_ns = now_ns;
        let missing = self.missing_ns.saturating_add(self.share_ns);
        match missing.checked_sub(NANOSECONDS_PER_SECOND).filter(|over| *over > 0) {
            Some(over) => Err(over),
            None => {
                self.missing_ns = missing;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_second_has_more_than_it_may_and_a_wait_is_long_enough(
            rate in 1_u64..2_000,
            steps in prop::collection::vec(0_u64..200_000_000, 1..200),
        ) {
            let mut bucket = Bucket::per_second(rate);
            let mut now_ns = 0;
            let mut taken = Vec::new();
            for step in steps {
                now_ns += step;
                match bucket.take(now_ns) {
                    Ok(()) => taken.push(now_ns),
                    Err(wait_ns) => {
                        now_ns += wait_ns;
                        prop_assert_eq!(bucket.take(now_ns), Ok(()));
                        taken.push(now_ns);
                    }
                }
            }
            // A full bucket, and what came back meanwhile.
            for (index, end) in taken.iter().enumerate() {
                let since = taken[..=index].iter().filter(|at| end - *at < NANOSECONDS_PER_SECOND).count() as u64;
                prop_assert!(since <= 2 * rate, "{since} of {rate}");
            }
        }
    }
}
