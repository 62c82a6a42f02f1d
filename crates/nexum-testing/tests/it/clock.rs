use std::time::Duration;

use nexum_core::clock::Clock as _;
use nexum_testing::FakeClock;

#[test]
fn stands_still_until_moved() {
    let clock = FakeClock::at(1_700_000_000_000);
    assert_eq!((clock.now_ms(), clock.monotonic_ns()), (1_700_000_000_000, 0));

    clock.advance(Duration::from_millis(1_500));
    assert_eq!(
        (clock.now_ms(), clock.monotonic_ns()),
        (1_700_000_001_500, 1_500_000_000)
    );
}

#[test]
fn wall_and_monotonic_time_are_set_apart() {
    let clock = FakeClock::at(10);
    clock.set_now_ms(5);
    clock.set_monotonic_ns(7);
    assert_eq!((clock.now_ms(), clock.monotonic_ns()), (5, 7));
}
