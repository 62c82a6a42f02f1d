//! Starts of nexum with many orders: from its stored state, and from the chain.

use std::fs;
use std::path::Path;

use nexum_testing::bench::{Figure, median};
use tokio::time::Instant;

use crate::setting::{Setting, Tower};
use crate::{ORDERS, public_tower};

/// The starts of a measurement.
const STARTS: usize = 5;

/// The aims, in seconds.
const STORED_S_MAX: f64 = 2.0;
const CHAIN_S_MAX: f64 = 5.0;

/// The entry of the state directory with compiled code. A start with other code compiles it first.
const COMPILED: &str = "cache";

/// A start lasts until the module has stored all orders and handled the newest block. The code is
/// compiled.
pub(crate) async fn figures(setting: &Setting, tower: Tower) -> Vec<Figure> {
    let Tower { daemon, directory } = tower;
    assert!(daemon.stop(), "nexum ends without an error");
    let mut stored = Vec::new();
    let mut chain = Vec::new();
    for _ in 0..STARTS {
        setting.chain.mine(1).await;
        stored.push(seconds(setting, directory.path()).await);
        let fresh = tempfile::tempdir().expect("a directory");
        copy(
            &directory.path().join("data").join(COMPILED),
            &fresh.path().join("data").join(COMPILED),
        );
        chain.push(seconds(setting, fresh.path()).await);
    }
    [
        ("stored state", stored, STORED_S_MAX),
        ("the chain", chain, CHAIN_S_MAX),
    ]
    .into_iter()
    .flat_map(|(from, samples, goal)| {
        let name = format!("start with 1,000 orders, from {from}");
        let least = samples.iter().copied().fold(f64::INFINITY, f64::min);
        [
            Figure::new(&name, "s", median(samples), public_tower::START_S).at_most(goal),
            Figure::new(format!("{name}, least"), "s", least, public_tower::START_S),
        ]
    })
    .collect()
}

/// The seconds of a start in this directory.
async fn seconds(setting: &Setting, directory: &Path) -> f64 {
    let start = Instant::now();
    let daemon = setting.daemon(directory).await;
    setting.until_stored(&daemon, ORDERS).await;
    let seconds = start.elapsed().as_secs_f64();
    assert!(daemon.stop(), "nexum ends without an error");
    seconds
}

/// Copies a directory with all it contains.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from)
        .expect("a directory")
        .map(|entry| entry.expect("an entry"))
    {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
