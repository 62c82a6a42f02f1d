//! Kills of the process at any moment.

use std::path::Path;

use nexum_store::Backend;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::child::{Other, directory, say};
use crate::history::{self, Model};
use crate::support::{Fixture, open};

/// The number of kills.
const KILLS: u64 = 30;

/// The most acknowledged batches before a kill.
const BATCHES_MAX: u64 = 60;

/// One in this many kills happens while the process opens the state that the previous one left.
const OPENING: u32 = 3;

/// The child's line before it opens the state.
const OPENS: &str = "opens";

/// The longest time until the kill, in turns of a loop: longer than a batch takes.
const TURNS_MAX: u32 = 3_000_000;

#[test]
fn redb_holds_whole_batches_when_it_is_killed() {
    check(Backend::Redb, "killed::redb_holds_whole_batches_when_it_is_killed");
}

#[test]
fn sled_holds_whole_batches_when_it_is_killed() {
    check(Backend::Sled, "killed::sled_holds_whole_batches_when_it_is_killed");
}

#[test]
fn fjall_holds_whole_batches_when_it_is_killed() {
    check(Backend::Fjall, "killed::fjall_holds_whole_batches_when_it_is_killed");
}

fn check(backend: Backend, test: &str) {
    if let Some(directory) = directory() {
        return write(backend, &directory);
    }
    let fixture = Fixture::new(backend);
    let mut random = SmallRng::seed_from_u64(backend as u64);
    let mut model = Model::default();
    for _ in 0..KILLS {
        let mut other = Other::start(test, &fixture.path(), None);
        assert_eq!(other.hear().as_deref(), Some(OPENS));
        let is_opening = random.random_ratio(1, OPENING);
        let last = model.number
            + if is_opening {
                0
            } else {
                random.random_range(1..BATCHES_MAX)
            };
        while model.number < last {
            assert_eq!(other.hear(), Some((model.number + 1).to_string()));
            model.advance();
        }
        (0..random.random_range(0..TURNS_MAX)).for_each(|_| std::hint::spin_loop());
        other.kill();
        while let Some(acknowledged) = other.hear() {
            model.advance();
            assert_eq!(acknowledged, model.number.to_string());
        }
        assert!(!other.wait().success(), "it ended by itself");
        let store = fixture.open();
        let begun = model.number + 1;
        model.follow(&*store.view().unwrap(), begun);
    }
}

/// Writes batches after the existing ones, and acknowledges each.
fn write(backend: Backend, directory: &Path) {
    say(OPENS);
    let store = open(backend, directory);
    let mut number = history::number(&*store.view().unwrap());
    loop {
        number += 1;
        store.write(&history::batch(number)).unwrap();
        say(number);
    }
}
